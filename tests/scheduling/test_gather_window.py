"""The gather window: it opens where it pays, and nowhere else."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.arrivals import GatherWindow
from headway.scheduling.cost_model import CostModel
from tests.scheduling.simulation import Simulation, mean

SECONDS = 2.0
Load = Callable[[Simulation, random.Random], None]


def constant(rows: int) -> float:
    return 0.004


def growing(rows: int) -> float:
    return 0.001 + 0.0002 * rows


def soon(random_: random.Random) -> Callable[[], float]:
    return lambda: random_.uniform(0.0, 0.0005)


def simulate(
    load: Load,
    *,
    max_wait_ms: float | None = None,
    seconds_of: Callable[[int], float] = constant,
    replicas: int = 1,
    seconds: float = SECONDS,
) -> Simulation:
    simulation = Simulation(
        seconds_of=seconds_of,
        replicas=replicas,
        max_wait_ms=max_wait_ms,
    )
    load(simulation, random.Random(7))
    simulation.run(seconds)
    return simulation


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("clients", [8, 16, 64])
def test_closed_loop_opens_the_gather_window(clients: int, replicas: int) -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.clients(clients, soon(random_))

    gathered = simulate(load, replicas=replicas, seconds=1.0)
    at_once = simulate(load, replicas=replicas, max_wait_ms=0, seconds=1.0)
    assert mean(at_once.latencies) > 0.0052
    assert mean(gathered.latencies) < 0.0048
    assert len(gathered.latencies) > 1.3 * len(at_once.latencies)


@pytest.mark.parametrize("rate", [50, 400, 1500])
def test_poisson_arrivals_keep_the_gather_window_closed(rate: int) -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.arrivals(rate, SECONDS, random_)

    gathered = simulate(load)
    at_once = simulate(load, max_wait_ms=0)
    # It may try now and then, as an estimate is never certain.
    assert gathered.held_s < 0.03 * SECONDS
    assert mean(gathered.latencies) < 1.03 * mean(at_once.latencies)


@pytest.mark.parametrize("rows", [[1], [20], [1, 10], [1, 150], [730, 3, 150]], ids=str)
@pytest.mark.parametrize("think", [0.0, 0.0004, 0.009])
def test_a_lone_client_never_waits(rows: list[int], think: float) -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.clients(
            1,
            lambda: think * random_.uniform(0.8, 1.2),
            rows=lambda: random_.choice(rows),
        )

    simulation = simulate(load, seconds_of=growing)
    assert len(simulation.latencies) > 5
    assert (simulation.waits, simulation.held_s) == (0, 0.0)


def test_clients_of_another_method_are_not_waited_for() -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        for method in "abcd":
            simulation.clients(8, soon(random_), method=method)

    simulation = simulate(load)
    assert simulation.held_s < 0.005 * SECONDS


def test_gather_window_closes_when_it_stops_paying() -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        begin = simulation.now
        think = lambda: (  # noqa: E731 - the clients slow down half-way
            random_.uniform(0.0, 0.0005)
            if simulation.now < begin + SECONDS / 2
            else random_.uniform(0.02, 0.2)
        )
        simulation.clients(16, think)
        simulation.at(begin + 0.75 * SECONDS, lambda: marks.append(simulation.held_s))

    marks: list[float] = []
    simulation = simulate(load)
    assert marks[0] > 0.01 * SECONDS
    assert simulation.held_s - marks[0] < 0.05 * SECONDS


def test_max_wait_of_zero_never_waits() -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.clients(64, soon(random_))

    assert simulate(load, max_wait_ms=0).waits == 0


def test_max_wait_bounds_the_gather_window() -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.clients(16, lambda: random_.uniform(0.0, 0.002))

    bounded = simulate(load, max_wait_ms=0.4)
    assert 0 < bounded.held_s < 0.0004 * len(bounded.batches)
    assert bounded.held_s < simulate(load).held_s


def test_gather_window_ends_before_a_deadline() -> None:
    def load(simulation: Simulation, random_: random.Random) -> None:
        simulation.clients(16, soon(random_))
        for step in range(1, 100):
            simulation.at(
                simulation.now + 0.01 * step,
                lambda: simulation.call(1, deadline_s=0.0093),
            )

    simulation = simulate(load)
    assert simulation.late == []


def taught(cycles: int = 10) -> GatherWindow:
    """Return a window that saw all of 16 calls return after 0.3 ms, cycle by cycle."""
    window = GatherWindow(max_wait_s=None)
    for cycle in range(cycles):
        window.completed(16, float(cycle))
        window.arrived(calls=16, rows=16, at=cycle + 0.0003)
    window.completed(16, float(cycles))
    return window


def price() -> CostModel:
    cost = CostModel()
    for rows in (1, 8, 16):
        cost.observe(rows, 0.004, 0.0)
    return cost


def ask(window: GatherWindow, now: float, waiting: int = 1) -> float | None:
    return window.wait_until(waiting, 84, 0.004, price(), now)


def test_gather_window_stays_closed_until_cycles_are_learned() -> None:
    assert ask(GatherWindow(max_wait_s=None), 0.0) is None
    assert ask(taught(3), 3.0) is None
    until = ask(taught(), 10.0)
    assert until is not None
    assert 10.0003 <= until < 10.0005


def test_calls_that_returned_are_not_waited_for() -> None:
    window = taught()
    window.arrived(calls=16, rows=16, at=10.0001)
    assert ask(window, 10.0001, waiting=16) is None


def test_arrivals_are_counted_for_the_cycle_that_they_were_sent_in() -> None:
    window = GatherWindow(max_wait_s=None)
    window.arrived(calls=1, rows=1, at=0.0)  # before any completion: counts for none
    for cycle in range(10):
        window.completed(16, float(cycle))
        if cycle:  # seen only after the next completion, as a busy loop sees them
            window.arrived(calls=16, rows=16, at=cycle - 1 + 0.0003)
        window.arrived(
            calls=1, rows=1, at=cycle - 1.5
        )  # of a cycle that is over: too late
    window.completed(16, 10.0)
    assert ask(window, 10.0) is not None


def test_parts_of_a_call_begin_no_cycle() -> None:
    window = taught()
    window.completed(0, 11.0)
    assert ask(window, 11.0) is None


def test_no_calls_are_expected_long_after_a_completion() -> None:
    assert ask(taught(), 10.0 + 5.0) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["complete", "arrive", "ask"]),
            st.integers(0, 50),
            st.floats(0, 0.1),
        ),
        max_size=60,
    ),
    st.one_of(st.none(), st.floats(0, 0.01)),
)
def test_a_wait_ends_after_it_begins(
    events: list[tuple[str, int, float]], max_wait_s: float | None
) -> None:
    window = GatherWindow(max_wait_s=max_wait_s)
    now = completed_at = 50.0
    for what, count, step in events:
        now += step
        if what == "complete":
            window.completed(count, now)
            completed_at = now if count else completed_at
        elif what == "arrive":
            window.arrived(calls=count + 1, rows=count + 1, at=now)
        else:
            until = ask(window, now, waiting=count + 1)
            if until is not None:
                assert now < until <= now + 0.004
                assert max_wait_s is None or until <= completed_at + max_wait_s + 1e-9
