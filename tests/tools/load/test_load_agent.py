"""Figures computed from Locust's statistics."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.tools.load.load_agent import StatsSnapshot, bucket, quantile

times = st.dictionaries(
    st.floats(0.01, 1e6).map(bucket), st.integers(1, 1000), min_size=1
)


@given(st.floats(min_value=0.01, max_value=1e7))
def test_bucket_keeps_three_digits(milliseconds: float) -> None:
    assert bucket(milliseconds) == pytest.approx(milliseconds, rel=0.006, abs=0.0051)


@given(st.floats(10, 1e7), st.floats(10, 1e7))
def test_bucket_keeps_the_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert bucket(low) <= bucket(high)


@given(times, st.sampled_from((0.5, 0.9, 0.99, 1.0)))
def test_quantile_is_the_smallest_sufficient_time(
    counts: dict[float, int], share: float
) -> None:
    found = quantile(counts, share)
    assert found is not None
    total = sum(counts.values())
    within = sum(count for time, count in counts.items() if time <= found)
    below = sum(count for time, count in counts.items() if time < found)
    assert within >= share * total > below or math.isclose(below, share * total)


def stats(requests: int, failures: int, counts: dict[float, int]) -> SimpleNamespace:
    total = SimpleNamespace(
        num_requests=requests, num_failures=failures, response_times=counts
    )
    return SimpleNamespace(total=total)


@given(times, times)
def test_figures_cover_the_time_since_a_snapshot(
    before: dict[float, int], came: dict[float, int]
) -> None:
    earlier = StatsSnapshot(stats(sum(before.values()), 3, before))
    both = {time: before.get(time, 0) + came.get(time, 0) for time in {*before, *came}}
    now = StatsSnapshot(stats(sum(both.values()), 5, both))
    figures = now.since(earlier, until=earlier.at + 2)
    assert figures.requests == sum(came.values())
    assert figures.failures == 2
    assert figures.rps == figures.requests / 2
    assert figures.max_ms == max(came)
    assert figures.p50_ms == quantile(came, 0.5)
    assert figures.p99_ms == quantile(came, 0.99)


def test_latencies_are_none_without_requests() -> None:
    earlier = StatsSnapshot(stats(0, 0, {}))
    figures = StatsSnapshot(stats(0, 0, {})).since(earlier)
    assert (figures.p50_ms, figures.p99_ms, figures.max_ms) == (None, None, None)
    assert figures.requests == 0
