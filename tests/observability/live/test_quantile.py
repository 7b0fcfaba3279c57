"""Quantiles of histograms, accurate to the width of a bucket."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.observability.live.figures import quantile, spread

BOUNDS = (0.001, 0.01, 0.1, 1.0)
durations = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60)
shares = st.floats(0.001, 1.0)


def count(values: list[float]) -> list[int]:
    buckets = [0] * (len(BOUNDS) + 1)
    for value in values:
        buckets[bisect_left(BOUNDS, value)] += 1
    return buckets


@given(values=durations, share=shares)
def test_quantile_is_in_the_right_bucket(values: list[float], share: float) -> None:
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    at = bisect_left(BOUNDS, true)
    found = quantile(count(values), BOUNDS, share)
    assert (BOUNDS[at - 1] if at else 0.0) <= found <= BOUNDS[at] + 1e-12


@given(values=durations, one=shares, other=shares)
def test_quantile_ascends_with_the_share(
    values: list[float], one: float, other: float
) -> None:
    buckets = count(values)
    low, high = (quantile(buckets, BOUNDS, share) for share in sorted((one, other)))
    assert low <= high + 1e-12


def test_bucket_is_spread_evenly() -> None:
    assert quantile([0, 10, 0, 0, 0], BOUNDS, 0.5) == pytest.approx(0.0055)
    assert quantile([4, 4, 0, 0, 0], BOUNDS, 0.25) == pytest.approx(0.0005)


def test_value_above_all_bounds_is_the_last_bound() -> None:
    assert quantile([0, 0, 0, 0, 3], BOUNDS, 0.5) == 1.0


def test_spread_is_in_milliseconds_with_an_exact_mean() -> None:
    found = spread([0, 10, 0, 0, 0, 40_000_000], BOUNDS, 1_000_000_000)
    assert found is not None
    mean, p50, _, p99 = found
    assert (mean, p50) == (4.0, 5.5)
    assert p99 == pytest.approx(9.91)
    assert spread([0, 0, 0, 0, 0, 0], BOUNDS, 1_000_000_000) is None
