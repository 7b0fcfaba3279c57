"""The warm-up: teaches the cost model, and says what does not work."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headway.config.schema import BatchingConfig
from headway.core.clock import MonotonicClock
from headway.errors import RunnerStartError
from headway.runner.warmup import warm_up
from headway.service.runnable import Runnable


class Model(Runnable):
    """Notes what it is called with."""

    def __init__(self, **samples: Any) -> None:
        self.samples = samples
        self.seen: list[tuple[str, Any]] = []

    @Runnable.method(batchable=True)
    def predict(self, x: Any) -> Any:
        self.seen.append(("predict", x))
        return x

    @Runnable.method(batchable=True, batch_dim=1)
    def sideways(self, x: Any, scale: float) -> Any:
        self.seen.append(("sideways", x))
        return x * scale

    @Runnable.method
    def whole(self, x: Any) -> Any:
        self.seen.append(("whole", x))
        return x

    @Runnable.method(batchable=True)
    def first(self, x: Any) -> Any:
        return x[:1]

    @Runnable.method(batchable=True)
    def turned(self, x: Any) -> Any:
        return np.transpose(x)

    @Runnable.method(batchable=True)
    def fail(self, x: Any) -> Any:
        raise ValueError("needs a GPU")

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        return self.samples


class Slow:
    """A clock of which each reading takes a second."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 1.0
        return self.time


def warm(
    model: Runnable,
    *,
    max_rows: int = 100,
    max_latency_ms: float = 60_000.0,
    clock: Any = None,
    enabled: bool = True,
) -> dict[str, list[tuple[int, float]]]:
    specs = {spec.name: spec for spec in model.method_specs().values()}
    return warm_up(
        runner="model",
        runnable=model,
        specs=specs,
        methods={
            name: BatchingConfig(
                max_batch_size=max_rows,
                max_latency_ms=max_latency_ms,
                enabled=spec.batchable and enabled,
            )
            for name, spec in specs.items()
        },
        clock=clock or MonotonicClock(),
    )


def test_sizes_double_up_to_the_cap_and_are_measured() -> None:
    model = Model(predict=(np.ones((1, 3)),))
    costs = warm(model, max_rows=20)
    sizes = [x.shape for _, x in model.seen]
    assert sorted(set(sizes)) == [(n, 3) for n in (1, 2, 4, 8, 16, 20)]
    assert [rows for rows, _ in costs["predict"]] == [1, 2, 4, 8, 16, 20]
    assert all(seconds > 0 for _, seconds in costs["predict"])


def test_warm_up_keeps_other_arguments_and_axes() -> None:
    model = Model(sideways=(np.ones((3, 1)), 2.0), whole=("x",))
    warm(model, max_rows=4)
    shapes = {x.shape for name, x in model.seen if name == "sideways"}
    assert shapes == {(3, 1), (3, 2), (3, 4)}
    assert {x for name, x in model.seen if name == "whole"} == {"x"}


@pytest.mark.parametrize(
    "sample", [[{"a": 1}], pd.DataFrame({"a": [1]}), np.array([None])]
)
def test_warm_up_repeats_samples_of_every_container(sample: Any) -> None:
    model = Model(predict=(sample,))
    warm(model, max_rows=3)
    assert {len(x) for _, x in model.seen} == {1, 2, 3}


def test_a_sample_without_rows_is_not_repeated() -> None:
    model = Model(predict=(2.5,))
    warm(model, max_rows=2)
    assert {x for _, x in model.seen} == {2.5}


def test_a_model_without_samples_is_not_run() -> None:
    model = Model()
    assert warm(model) == {}
    assert model.seen == []


def test_warm_up_skips_large_batches_that_take_too_long() -> None:
    model = Model(predict=(np.ones((1, 3)),))
    warm(model, max_rows=2**20, clock=Slow())
    assert max(len(x) for _, x in model.seen) <= 4


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (Model(fail=(np.ones(1),)), {}, "'fail' failed on 1 warm-up rows: ValueError"),
        (
            Model(first=([1],)),
            {},
            "'first' returned list with 1 rows along batch_dim 0 for a batch of 2",
        ),
        (
            Model(turned=(np.ones((1, 3)),)),
            {},
            "'turned' returned ndarray with 3 rows along batch_dim 0 for a batch of 1",
        ),
        (
            Model(sideways=(np.ones(1), 2.0)),
            {},
            "'sideways' has its rows on axis 1, but was given ndarray",
        ),
        (
            Model(predict=(np.ones(1),)),
            {"max_latency_ms": 1e-9},
            r"one row of 'predict' takes \d+\.\d ms, more than max_latency_ms",
        ),
        (Model(nothing=(np.ones(1),)), {}, "'nothing', but its methods are"),
    ],
)
def test_warm_up_errors_prevent_the_start(
    model: Model, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunnerStartError, match=says):
        warm(model, **options)


def test_rows_are_not_counted_where_calls_are_not_joined() -> None:
    assert warm(Model(first=([1],)), enabled=False)["first"]


class Broken(Model):
    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        raise FileNotFoundError("sample.npy")


def test_a_failing_warmup_samples_prevents_the_start() -> None:
    with pytest.raises(RunnerStartError, match=r"FileNotFoundError: sample\.npy"):
        warm(Broken())
