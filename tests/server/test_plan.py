"""Plans: the replicas of a runner, and the share of the machine of each."""

import os
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headway
from headway.config.schema import ResourcesConfig, RunnerConfig
from headway.server.placement import (
    ReplicaPlan,
    RunnerPlan,
    available_cores,
    describe,
    plan_replicas,
    warn_of_ignored,
)
from headway.service.service import ServiceDefinition


class Single(headway.Runnable):
    SUPPORTS_CPU_MULTI_THREADING: ClassVar[bool] = False

    @headway.Runnable.method(batchable=True, batch_dim=1)
    def predict(self, x: Any) -> Any:
        return x

    @headway.Runnable.method
    def explain(self, x: Any) -> Any:
        return x


class OnGpu(headway.Runnable):
    SUPPORTED_RESOURCES: ClassVar[tuple[str, ...] | str] = ("cpu", "nvidia.com/gpu")

    @headway.Runnable.method
    def predict(self, x: Any) -> Any:
        return x


def test_description_of_a_service() -> None:
    service = ServiceDefinition(
        "svc",
        runners=[
            headway.Runner(
                Single,
                name="one",
                max_batch_size=32,
                method_configs={"predict": {"max_latency_ms": 5.0}},
            ),
            headway.Runner(OnGpu),
        ],
    )
    plan = describe(service)
    assert plan.name == "svc"
    one, gpu = plan.runners
    assert (one.name, one.uses_gpu, one.multi_threaded) == ("one", False, False)
    assert one.options == {
        "methods.predict.max_batch_size": 32,
        "methods.predict.max_latency_ms": 5.0,
        "methods.explain.max_batch_size": 32,
    }
    assert one.methods["predict"].batchable
    assert one.methods["predict"].batch_dim == (1, 1)
    assert (gpu.name, gpu.uses_gpu, gpu.multi_threaded) == ("ongpu", True, True)
    assert gpu.options == {}


def test_supported_resources_may_be_a_string() -> None:
    class Only(OnGpu):
        SUPPORTED_RESOURCES: ClassVar[tuple[str, ...] | str] = "nvidia.com/gpu"

    class Other(OnGpu):
        SUPPORTED_RESOURCES: ClassVar[tuple[str, ...] | str] = "cpu"

    plan = describe(
        ServiceDefinition("svc", runners=[headway.Runner(Only), headway.Runner(Other)])
    )
    assert [runner.uses_gpu for runner in plan.runners] == [True, False]


def runner(*, uses_gpu: bool = False, multi_threaded: bool = True) -> RunnerPlan:
    return RunnerPlan("model", {}, {}, uses_gpu, multi_threaded)


def config(each: float = 1, **resources: Any) -> RunnerConfig:
    return RunnerConfig(
        resources=ResourcesConfig(**resources), workers_per_resource=each
    )


CPU: list[tuple[dict[str, Any], bool, list[ReplicaPlan]]] = [
    ({}, True, [ReplicaPlan(4)]),
    ({"cpu": 6}, True, [ReplicaPlan(6)]),
    ({"cpu": 6, "each": 2}, True, [ReplicaPlan(3)] * 2),
    ({"cpu": 0.5}, True, [ReplicaPlan(1)]),
    ({"cpu": 2, "each": 4}, True, [ReplicaPlan(1)] * 4),
    ({"each": 0.5}, True, [ReplicaPlan(4)]),
    ({}, False, [ReplicaPlan(1)]),
    ({"each": 3}, False, [ReplicaPlan(1)] * 3),
    ({"cpu": 6}, False, [ReplicaPlan(1)] * 6),
    ({"cpu": 6, "each": 0.5}, False, [ReplicaPlan(1)] * 3),
    ({"cpu": 1, "each": 0.5}, False, [ReplicaPlan(1)]),
]


@pytest.mark.parametrize(("given_", "multi_threaded", "replicas"), CPU)
def test_replicas_on_eight_cores(
    given_: dict[str, Any], multi_threaded: bool, replicas: list[ReplicaPlan]
) -> None:
    plans = plan_replicas(runner(multi_threaded=multi_threaded), config(**given_), 8)
    assert plans == replicas


GPU: list[tuple[dict[str, Any], list[tuple[str, ...]]]] = [
    ({"gpu": 2}, [("0",), ("1",)]),
    ({"gpu": [3, "GPU-abc"]}, [("3",), ("GPU-abc",)]),
    ({"gpu": 2, "each": 2}, [("0",), ("0",), ("1",), ("1",)]),
    ({"gpu": 4, "each": 0.5}, [("0", "1"), ("2", "3")]),
    ({"gpu": 3, "each": 0.5}, [("0", "1"), ("2",)]),
    ({"gpu": 0}, [()]),
    ({}, [()]),
]


@pytest.mark.parametrize(("given_", "gpus"), GPU)
def test_replicas_on_gpus(given_: dict[str, Any], gpus: list[tuple[str, ...]]) -> None:
    plans = plan_replicas(runner(uses_gpu=True), config(**given_), 8)
    assert [plan.gpus for plan in plans] == gpus


def test_model_without_gpu_support_gets_no_gpus() -> None:
    (plan,) = plan_replicas(runner(), config(gpu=4), 8)
    assert plan.gpus == ()


def test_ignored_resources_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warn_of_ignored(runner(), config())
    warn_of_ignored(runner(), config(gpu=0))
    warn_of_ignored(runner(uses_gpu=True), config(gpu=2))
    assert caplog.text == ""
    warn_of_ignored(runner(), config(gpu=2))
    assert "resources.nvidia.com/gpu is 2, which has no effect" in caplog.text


@given(
    st.booleans(),
    st.booleans(),
    st.floats(0.01, 8),
    st.none() | st.floats(0.01, 16),
    st.none() | st.integers(0, 8),
    st.integers(1, 64),
)
def test_plan_has_at_least_one_replica_with_a_thread(
    uses_gpu: bool,
    multi_threaded: bool,
    each: float,
    cpu: float | None,
    gpu: int | None,
    cores: int,
) -> None:
    plans = plan_replicas(
        runner(uses_gpu=uses_gpu, multi_threaded=multi_threaded),
        config(each, cpu=cpu, gpu=gpu),
        cores,
    )
    assert plans
    assert all(plan.threads >= 1 for plan in plans)
    seen = [one for plan in plans for one in plan.gpus]
    if uses_gpu and gpu:
        assert set(seen) == {str(i) for i in range(gpu)}
    else:
        assert seen == []


def test_environment_limits_a_replica_to_its_share() -> None:
    variables = ReplicaPlan(3, ("0", "1")).environment()
    assert variables["OMP_NUM_THREADS"] == variables["MKL_NUM_THREADS"] == "3"
    assert variables["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert ReplicaPlan(1).environment()["CUDA_VISIBLE_DEVICES"] == ""
    assert ReplicaPlan(1).environment()["OMP_NUM_THREADS"] == "1"


def test_available_cores_respects_the_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert available_cores() == (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1
