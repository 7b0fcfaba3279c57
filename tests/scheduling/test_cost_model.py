"""S(n): it converges, shrugs at outliers, follows drifts and rises with n."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.cost_model import CostModel

sizes = st.integers(1, 5000)
times = st.floats(0, 10)


def learned(*batches: tuple[int, float]) -> CostModel:
    model = CostModel()
    for rows, seconds in batches:
        model.observe(rows, seconds, 1.0)
    return model


def test_cost_model_knows_nothing_at_first() -> None:
    model = CostModel()
    assert not model.knows
    assert (model.mean(5), model.tail(5)) == (0.0, 0.0)
    assert model.learned_at == float("-inf")


def test_cost_model_converges_on_mean_and_tail() -> None:
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


def test_cost_between_sizes_is_interpolated_and_beyond_in_proportion() -> None:
    model = learned((2, 0.002), (4, 0.006))
    assert model.mean(1) == pytest.approx(0.002)
    assert model.mean(3) == pytest.approx(0.004)
    assert model.mean(8) == pytest.approx(0.012)


@pytest.mark.parametrize("outlier", [0.4, 0.0001])
def test_a_single_outlier_is_clipped(outlier: float) -> None:
    model = learned(*[(4, 0.004)] * 20)
    model.observe(4, outlier, 2.0)
    assert model.mean(4) == pytest.approx(0.004, rel=0.02)


def test_outliers_on_both_sides_are_no_new_speed() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(4):
        model.observe(4, 0.04, 2.0)
        model.observe(4, 0.0004, 2.0)
    assert model.mean(4) == pytest.approx(0.004, rel=0.1)


def test_outliers_between_usual_samples_are_no_new_speed() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(10):
        model.observe(4, 0.04, 2.0)
        model.observe(4, 0.004, 2.0)
        model.observe(4, 0.004, 2.0)
    assert model.mean(4) < 0.005


@pytest.mark.parametrize("factor", [4.0, 3.0, 0.3, 0.25])
def test_three_outliers_on_one_side_are_a_new_speed_of_all_sizes(factor: float) -> None:
    model = learned(*[(1, 0.001), (16, 0.004)] * 20)
    for _ in range(2):
        model.observe(16, 0.004 * factor, 2.0)
    assert model.mean(16) == pytest.approx(0.004, rel=0.05)
    model.observe(16, 0.004 * factor, 2.0)
    assert model.mean(16) == pytest.approx(0.004 * factor, rel=0.05)
    assert model.mean(1) == pytest.approx(0.001 * factor, rel=0.05)


def grown(rows: int) -> float:
    return 0.001 + 0.0002 * rows


@pytest.mark.parametrize("factor", [4.0, 0.25])
@pytest.mark.parametrize("seen", [(32, 32, 32), (1, 16, 32)], ids=str)
def test_three_batches_suffice_for_the_speed_of_all_sizes(
    seen: tuple[int, ...], factor: float
) -> None:
    sizes_ = (1, 2, 4, 8, 16, 32, 64)
    model = learned(*[(rows, grown(rows)) for rows in sizes_] * 10)
    for rows in seen:
        model.observe(rows, factor * grown(rows), 2.0)
    for rows in (*sizes_, 100):
        expected = factor * grown(64) / 64 * rows if rows > 64 else factor * grown(rows)
        assert model.mean(rows) == pytest.approx(expected, rel=0.05)
        assert model.peak_rate(rows) == pytest.approx(rows / expected, rel=0.2)


def test_a_new_speed_holds_for_sizes_not_seen_since() -> None:
    """Those that were observed once outweighed the one observed all the time."""
    once = [(rows, grown(rows)) for rows in (1, 2, 4, 8, 16, 33, 48, 64, 100)]
    model = learned(*once, *[(32, grown(32))] * 50)
    for _ in range(3):  # slow for a moment, in which other sizes are observed, too
        model.observe(32, 8 * grown(32), 2.0)
    for rows in (36, 40, 64):
        model.observe(rows, 8 * grown(rows), 2.0)
    assert model.mean(32) == pytest.approx(8 * grown(32), rel=0.1)
    for _ in range(20):
        model.observe(32, grown(32), 3.0)
    assert model.mean(32) == pytest.approx(grown(32), rel=0.1)
    assert model.mean(100) < 1.5 * grown(100)


def test_the_first_batch_of_a_size_counts_with_doubt() -> None:
    model = learned(*[(1, 0.004), (16, 0.004)] * 20)
    model.observe(2, 9.9, 2.0)
    assert model.mean(2) < 0.005, "16 rows take no longer"
    in_proportion = model.mean(64)
    model.observe(64, 9.9, 2.0)
    learned_s = model.mean(64)
    assert learned_s == pytest.approx(3 * in_proportion)
    # Its doubt counts in its favour: the size may be the best.
    assert model.peak_rate(64) > 1.5 * model.peak_rate(16)
    for _ in range(20):
        model.observe(64, 0.004, 3.0)
    assert model.mean(64) < 0.3 * learned_s
    assert model.tail(64) < learned_s


def test_peak_rate_is_the_rate_of_the_best_size() -> None:
    # 40 rows at 10,000 a second are the best; 64 are worse.
    model = learned(*[(1, 0.001), (40, 0.004), (64, 0.016)] * 40)
    assert model.peak_rate(1) == pytest.approx(1000, rel=0.1)
    assert model.peak_rate(40) == pytest.approx(10_000, rel=0.1)
    assert model.peak_rate(64) == pytest.approx(10_000, rel=0.1)
    assert model.fewest_rows(9000, 64) == 40
    assert model.fewest_rows(900, 64) == 1
    assert model.fewest_rows(11_000, 64) == 64, "none is so good"
    assert model.fewest_rows(9000, 30) == 30
    assert model.largest == 64


def test_sizes_up_to_a_round_number_share_a_bucket() -> None:
    model = learned((31, 0.004), (33, 0.008))
    for _ in range(200):
        model.observe(32, 0.004, 1.0)
    assert model.mean(32) == pytest.approx(0.004, rel=0.01)
    assert model.mean(33) == pytest.approx(0.008, rel=0.01)


@given(
    st.lists(st.tuples(sizes, st.floats(1e-6, 10)), min_size=1, max_size=40),
    st.floats(0, 1e6),
    sizes,
)
def test_fewest_rows_reach_the_requested_rate(
    batches: list[tuple[int, float]], rate: float, most: int
) -> None:
    model = learned(*batches)
    rows = model.fewest_rows(rate, most)
    assert 1 <= rows <= most
    assert rows == most or model.peak_rate(rows) >= 0.999 * rate


def test_small_changes_are_published_eventually() -> None:
    model = learned(*[(4, 0.004)] * 20)
    for _ in range(100):
        model.observe(4, 0.0042, 2.0)
    assert model.mean(4) == pytest.approx(0.0042, rel=0.01)


def test_predicted_time_never_falls_with_rows() -> None:
    model = learned(*[(1, 0.005), (2, 0.001), (3, 0.003)] * 5)
    assert model.mean(1) == pytest.approx(model.mean(2)) == pytest.approx(0.003)
    assert model.mean(3) >= model.mean(2)


@given(st.lists(st.tuples(sizes, times), min_size=1, max_size=60))
def test_mean_rises_and_tail_is_above_it(
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


def test_a_size_whose_first_batch_was_slow_still_takes_some_time() -> None:
    cost = CostModel()
    for batch in range(40):
        cost.observe(18, 1.0, float(batch))
    cost.observe(16, 9.0, 50.0)
    for rows in range(1, 19):
        assert 0 < cost.peak_rate(rows) < 4 * rows
