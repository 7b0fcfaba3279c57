"""Meters publish the predictions of the cost models, as far as they are known."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.config.schema import BatchingConfig
from headway.metrics import MetricsRegistry
from headway.metrics.families import BATCH_COST_SECONDS
from headway.metrics.meters import RunnerMeters, published_sizes
from headway.scheduling.scheduler import Scheduler
from tests.metrics.samples import samples_of


@given(max_rows=st.integers(1, 2**31 - 1))
def test_sizes_double_up_to_the_largest(max_rows: int) -> None:
    sizes = published_sizes(max_rows)
    assert (sizes[0], sizes[-1]) == (1, max_rows)
    assert len(sizes) <= 32
    assert all(a < b <= 2 * a for a, b in pairwise(sizes))


def test_cost_gauges_are_predictions_of_the_cost_model() -> None:
    registry = MetricsRegistry()
    registry.start()
    scheduler = Scheduler(config=BatchingConfig(), replicas=1)
    cost = scheduler.cost("predict")
    meters = RunnerMeters(
        registry=registry,
        runner="iris",
        methods=["predict", "alone"],
        costs={"predict": (cost, 100)},
    )

    def published() -> dict[tuple[str, str], float]:
        meters.replica_up(0)
        return {
            (rows, statistic): sample.value
            for sample in samples_of(registry)
            if sample.family == BATCH_COST_SECONDS
            for runner, method, rows, statistic in (sample.labels,)
            if (runner, method) == ("iris", "predict")
        }

    assert set(published().values()) == {0}
    for rows in (1, 2, 4, 8, 17):
        cost.observe(rows, 0.001 * rows, 0.0)
    found = published()
    assert found["4", "mean"] == pytest.approx(cost.mean(4), abs=1e-9)
    assert found["16", "tail"] == pytest.approx(cost.tail(16), abs=1e-9)
    # Nothing is known of larger ones, though the model would guess.
    assert found["32", "mean"] == found["100", "tail"] == 0
