"""The choices of a service follow from its runners and its configuration."""

from typing import Any

import pytest

import headway
from headway.config.resolution import ResolvedConfig, resolve
from headway.server.placement import RunnerPlan, describe, plan_replicas
from headway.tools.tune.grid import Grid, grid_of, with_keys


class Batched(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def work(self, rows: Any) -> Any:
        return rows


class Single(headway.Runnable):
    SUPPORTS_CPU_MULTI_THREADING = False

    @headway.Runnable.method
    def work(self, row: Any) -> Any:
        return row


class OnGpu(Batched):
    SUPPORTED_RESOURCES = ("cpu", "nvidia.com/gpu")


def grid(
    *kinds: type[headway.Runnable], cores: int = 4, **flags: object
) -> tuple[Grid, list[RunnerPlan], ResolvedConfig]:
    service = headway.Service(
        "chosen", runners=[headway.Runner(kind) for kind in kinds]
    )
    plan = describe(service)
    config = resolve(
        environ={}, flags={k.replace("__", "."): v for k, v in flags.items()}
    )
    return grid_of(plan, config, cores), plan.runners, config


def test_choices_follow_from_the_runner() -> None:
    found, _, _ = grid(Batched)
    assert [(choice.what, choice.values) for choice in found.choices] == [
        ("workers", (4, 2, 1)),
        ("max_batch_size", (100, 400, 25)),
        ("threads", (2, 4, 1)),
        ("replicas", (1, 4, 2)),
    ]
    assert found.text((4, 100, 2, 1)) == (
        "4 API workers, batches up to 100, 2 threads, 1 replica"
    )
    single, _, _ = grid(Single)
    assert [choice.what for choice in single.choices] == ["workers", "replicas"]
    gpu = resolve(environ={"HEADWAY_RUNNERS__RESOURCES__NVIDIA_COM_GPU": "1"})
    _, runners, _ = grid(OnGpu)
    plan = describe(headway.Service("g", runners=[headway.Runner(OnGpu)]))
    assert runners[0].uses_gpu
    assert [choice.what for choice in grid_of(plan, gpu, 4).choices] == [
        "workers",
        "max_batch_size",
    ]
    alone, _, _ = grid(Single, cores=1)
    assert alone.choices == ()


def test_several_runners_are_named() -> None:
    found, _, _ = grid(Batched, Single)
    assert found.text(tuple(values[0] for values in found.values)) == (
        "4 API workers, batched: batches up to 100, batched: 2 threads, "
        "batched: 1 replica, single: 1 replica"
    )


@pytest.mark.parametrize("kind", [Batched, Single])
def test_keys_yield_the_chosen_replicas_and_threads(
    kind: type[headway.Runnable], tmp_path: Any
) -> None:
    found, [runner], _ = grid(kind)
    places = {choice.what: i for i, choice in enumerate(found.choices)}
    for replicas in (1, 2, 4):
        setting = [values[0] for values in found.values]
        setting[places["replicas"]] = replicas
        file = tmp_path / "made.yaml"
        file.write_text(str(with_keys({}, found.keys(tuple(setting)))))
        methods = {runner.name: list(runner.methods)}
        config = resolve(config_file=file, environ={}, runner_methods=methods)
        made = plan_replicas(runner, config.runner(runner.name), 4)
        assert len(made) == replicas
        assert {one.threads for one in made} == {2 if kind is Batched else 1}
