"""How large a batch is: as large as throughput asks for, and as a deadline allows."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.cost_model import CostModel, rows_in_time, rows_worthwhile
from tests.scheduling.simulation import Simulation, mean

CAP = 100
KNOWN = (1, 2, 4, 8, 16, 32, 64, 100)
LOADS = (0.0, 0.3, 0.5, 0.9, 1.0)
Seconds = Callable[[int], float]


def stepwise(rows: int) -> float:
    return 0.002 * -(-rows // 32)


def linear(rows: int) -> float:
    return 0.00001 + 0.001 * rows


def affine(rows: int) -> float:
    return 0.01 + 0.00001 * rows


def halfway(rows: int) -> float:
    return 0.001 + 0.0002 * rows


def learned(seconds_of: Seconds, known: tuple[int, ...] = KNOWN) -> CostModel:
    cost = CostModel()
    for _ in range(12):
        for rows in known:
            cost.observe(rows, seconds_of(rows), 1.0)
    return cost


def worthwhile(
    seconds_of: Seconds, waiting: int, load: float = 0.5, idle: int = 1
) -> int:
    return rows_worthwhile(waiting, CAP, idle, load, learned(seconds_of))


@pytest.mark.parametrize("load", LOADS)
def test_batch_size_ends_at_a_step_of_the_cost(load: float) -> None:
    assert worthwhile(stepwise, 70, load) == 32
    assert worthwhile(stepwise, 500, load) == 32
    assert worthwhile(stepwise, 20, load) == 20


def test_batch_sizes_between_steps_are_tried_and_then_avoided() -> None:
    cost = learned(stepwise)
    load = 0.95
    chosen = []
    for _ in range(40):
        chosen.append(rows_worthwhile(40, CAP, 1, load, cost))
        cost.observe(chosen[-1], stepwise(chosen[-1]), 1.0)
    assert chosen[0] == 40
    assert chosen[-20:] == [32] * 20


def test_higher_load_makes_larger_batches() -> None:
    assert [worthwhile(linear, 16, load) for load in (0.0, 0.5, 0.95)] == [1, 2, 16]


def test_a_queue_of_a_full_batch_counts_as_a_burst() -> None:
    assert worthwhile(linear, CAP, load=0.0) == CAP


@pytest.mark.parametrize("load", LOADS)
def test_all_waiting_rows_go_if_rows_are_nearly_free(load: float) -> None:
    assert worthwhile(affine, 70, load) == 70
    assert worthwhile(affine, 500, load) == CAP


def test_unknown_batch_sizes_are_tried() -> None:
    load = 0.0
    assert rows_worthwhile(70, CAP, 1, load, CostModel()) == 70
    assert rows_worthwhile(500, CAP, 1, load, CostModel()) == CAP
    small = learned(linear, (1, 2, 4))
    assert rows_worthwhile(70, CAP, 1, load, small) == 70
    assert rows_worthwhile(4, CAP, 1, load, small) == 1


def test_idle_replicas_split_the_queue_if_that_is_faster() -> None:
    assert worthwhile(halfway, 40, load=0.0, idle=1) == 40
    assert worthwhile(halfway, 40, load=0.0, idle=4) == 10
    assert worthwhile(affine, 40, load=0.0, idle=4) == 40, "each would take as long"
    assert worthwhile(halfway, 40, load=0.9, idle=4) == 40, "none is to spare"
    assert worthwhile(halfway, 1, load=0.0, idle=4) == 1


def test_replicas_split_the_queue_only_within_throughput() -> None:
    # Half of 64 replicas' worth arrives: single rows could not keep up with it.
    shared = worthwhile(halfway, 64, load=0.5, idle=64)
    assert shared == 16
    cost = learned(halfway)
    assert shared / cost.mean(shared) > 0.5 * cost.peak_rate(CAP)


def test_a_batch_size_that_was_slow_once_is_tried_again() -> None:
    cost = learned(affine, (1, 2, 4, 8, 16))
    cost.observe(64, 10.0, 1.0)
    load = 0.9
    for _ in range(30):
        rows = rows_worthwhile(64, 64, 1, load, cost)
        cost.observe(rows, affine(rows), 1.0)
    assert rows == 64
    assert cost.mean(64) == pytest.approx(affine(64), rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_heavy_tailed_times_do_not_lead_to_small_batches(seed: int) -> None:
    random_ = random.Random(seed)

    def heavy_tailed(rows: int) -> float:
        return halfway(rows) * random_.lognormvariate(-0.5, 1.0)

    simulation = Simulation(seconds_of=heavy_tailed, max_rows=64)
    # Warm-up, in which every size has another luck.
    for rows in KNOWN[:-1]:
        seconds = heavy_tailed(rows)
        simulation.scheduler.cost("predict").observe(rows, seconds, simulation.now)
    simulation.arrivals(0.8 * 64 / halfway(64), 4.0, random_)
    simulation.run(4.0)
    # Where batches are too small for what arrives, waits grow to seconds.
    assert mean(simulation.latencies[-2000:]) < 0.2


@given(
    base_s=st.floats(0, 0.1),
    row_s=st.floats(1e-6, 0.01),
    step=st.integers(1, 50),
    waiting=st.integers(1, 300),
    load=st.floats(0, 1),
    busier=st.floats(0, 1),
    idle=st.integers(1, 8),
)
def test_any_batch_keeps_nine_tenths_of_the_throughput(
    base_s: float,
    row_s: float,
    step: int,
    waiting: int,
    load: float,
    busier: float,
    idle: int,
) -> None:
    cost = learned(lambda rows: base_s + row_s * step * -(-rows // step))
    most = min(waiting, CAP)
    rows = rows_worthwhile(waiting, CAP, 1, load, cost)
    assert 1 <= rows <= most
    assert rows == most or rows / cost.mean(rows) > 0.899 * cost.peak_rate(most)
    assert rows_worthwhile(waiting, CAP, 1, max(load, busier), cost) >= rows
    shared = rows_worthwhile(waiting, CAP, idle, load, cost)
    assert 1 <= shared <= rows
    assert shared == rows or shared >= waiting / idle


def in_time(
    cost: CostModel,
    slack_s: float,
    *,
    load: float = 0.0,
    rows: int = 10,
    least: int = 1,
) -> int:
    return rows_in_time(rows, least, slack_s, load, CAP, cost)


def test_a_batch_within_the_deadline_keeps_its_size() -> None:
    cost = learned(halfway)
    assert in_time(cost, cost.tail(10)) == 10


def test_a_deadline_shrinks_a_batch_at_low_load() -> None:
    cost = learned(halfway)
    shrunk = in_time(cost, cost.mean(6))
    assert 1 < shrunk <= 6
    assert cost.tail(shrunk) <= cost.mean(6) < cost.tail(shrunk + 1)


def test_at_full_load_the_first_call_is_given_up_instead() -> None:
    cost = learned(halfway)
    assert in_time(cost, cost.mean(6), load=1.0) == 0


def test_a_batch_that_is_likely_in_time_keeps_its_size() -> None:
    cost = CostModel()
    for _ in range(10):
        cost.observe(10, 0.004, 1.0)
        cost.observe(10, 0.006, 1.0)
    slack_s = (cost.mean(10) + cost.tail(10)) / 2
    assert in_time(cost, slack_s, load=1.0) == 10


def test_a_smaller_batch_that_is_likely_in_time_goes_at_low_load() -> None:
    cost = CostModel()
    for _ in range(10):
        for seconds in (0.004, 0.006):
            cost.observe(2, seconds, 1.0)
            cost.observe(10, 2.5 * seconds, 1.0)
    slack_s = (cost.mean(2) + cost.tail(2)) / 2
    likely = in_time(cost, slack_s, least=2)
    assert cost.mean(likely) <= slack_s < cost.mean(likely + 1)
    assert in_time(cost, slack_s, least=2, load=0.9) == 0
    assert in_time(cost, 0.9 * cost.mean(2), least=2) == 0


@given(
    base_s=st.floats(0, 0.1),
    row_s=st.floats(0, 0.01),
    rows=st.integers(1, CAP),
    least=st.integers(1, CAP),
    slack_s=st.floats(0, 1),
    load=st.floats(0, 1),
)
def test_no_batch_is_late_more_likely_than_not(
    base_s: float, row_s: float, rows: int, least: int, slack_s: float, load: float
) -> None:
    cost = learned(lambda size: base_s + row_s * size)
    least = min(least, rows)
    chosen = in_time(cost, slack_s, load=load, rows=rows, least=least)
    assert chosen == 0 or least <= chosen <= rows
    if chosen:
        assert cost.mean(chosen) <= slack_s
        assert load or chosen == rows or cost.tail(chosen + 1) > slack_s
    elif load == 0:
        assert cost.mean(least) > slack_s
