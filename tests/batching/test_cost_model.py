"""S(n): it converges, shrugs at outliers, follows drifts and rises with n."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.batching.cost_model import CostModel

sizes = st.integers(1, 5000)
times = st.floats(0, 10)


def learned(*batches: tuple[int, float]) -> CostModel:
    model = CostModel()
    for rows, seconds in batches:
        model.observe(rows, seconds, 1.0)
    return model


def test_nothing_is_known_at_first() -> None:
    model = CostModel()
    assert not model.knows
    assert (model.mean(5), model.tail(5)) == (0.0, 0.0)
    assert model.learned_at == float("-inf")


def test_it_converges_on_mean_and_tail() -> None:
    random_ = random.Random(3)
    model = CostModel()
    for at in range(3000):
        rows = random_.choice([1, 10, 100])
        model.observe(rows, (0.001 + 0.0001 * rows) * random_.gauss(1, 0.05), at)
    for rows in (1, 10, 100):
        true = 0.001 + 0.0001 * rows
        assert model.mean(rows) == pytest.approx(true, rel=0.05)
        assert 1.03 * true < model.tail(rows) < 1.3 * true
    assert model.mean(55) == pytest.approx(0.0065, rel=0.1)
    assert model.learned_at == 2999


def test_between_sizes_it_interpolates_and_beyond_it_is_in_proportion() -> None:
    model = learned((2, 0.002), (4, 0.006))
    assert model.mean(1) == pytest.approx(0.002)
    assert model.mean(3) == pytest.approx(0.004)
    assert model.mean(8) == pytest.approx(0.012)


@pytest.mark.parametrize("outlier", [0.4, 0.0001])
def test_a_lone_outlier_is_clipped(outlier: float) -> None:
    model = learned(*[(4, 0.004)] * 20)
    model.observe(4, outlier, 2.0)
    assert model.mean(4) == pytest.approx(0.004, rel=0.02)


def test_outliers_to_both_sides_are_no_drift() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(4):
        model.observe(4, 0.04, 2.0)
        model.observe(4, 0.0004, 2.0)
    assert model.mean(4) == pytest.approx(0.004, rel=0.1)


def test_outliers_among_usual_ones_are_no_drift() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(10):
        model.observe(4, 0.04, 2.0)
        model.observe(4, 0.004, 2.0)
        model.observe(4, 0.004, 2.0)
    assert model.mean(4) < 0.005


@pytest.mark.parametrize("factor", [3.0, 0.3])
def test_a_drift_is_believed_at_the_third_and_for_all_sizes(factor: float) -> None:
    model = learned(*[(1, 0.001), (16, 0.004)] * 20)
    for _ in range(2):
        model.observe(16, 0.004 * factor, 2.0)
    assert model.mean(16) == pytest.approx(0.004, rel=0.05)
    model.observe(16, 0.004 * factor, 2.0)
    assert model.mean(16) == pytest.approx(0.004 * factor, rel=0.05)
    assert model.mean(1) == pytest.approx(0.001 * factor, rel=0.05)


def test_small_changes_reach_the_curve_in_the_end() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(100):
        model.observe(4, 0.0042, 2.0)
    assert model.mean(4) == pytest.approx(0.0042, rel=0.01)


def test_larger_batches_never_seem_quicker() -> None:
    model = learned(*[(1, 0.005), (2, 0.001), (3, 0.003)] * 5)
    assert model.mean(1) == pytest.approx(model.mean(2)) == pytest.approx(0.003)
    assert model.mean(3) >= model.mean(2)


@given(st.lists(st.tuples(sizes, times), min_size=1, max_size=60))
def test_it_is_rising_and_its_tail_is_above_its_mean(
    batches: list[tuple[int, float]],
) -> None:
    model = learned(*batches)
    asked = sorted({1, 2, 7, 9, 100, 10_000, *(rows for rows, _ in batches)})
    means = [model.mean(rows) for rows in asked]
    tails = [model.tail(rows) for rows in asked]
    for curve in (means, tails):
        assert all(low <= high * 1.000001 for low, high in itertools.pairwise(curve))
    assert all(0 <= m <= t * 1.000001 for m, t in zip(means, tails, strict=True))


@given(sizes, times, st.floats(1e-6, 10))
def test_any_new_speed_is_learned(rows: int, old: float, new: float) -> None:
    model = learned(*[(rows, old)] * 10, *[(rows, new)] * 100)
    assert model.mean(rows) == pytest.approx(new, rel=0.02)
