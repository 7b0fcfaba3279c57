"""The rivals do what is said of them."""

import pytest
from benchmarks.simulation.aimd import Aimd
from benchmarks.simulation.arrivals import Crowd, Poisson
from benchmarks.simulation.cork import Cork
from benchmarks.simulation.fixed_window import FixedWindow
from benchmarks.simulation.models import best_rate
from benchmarks.simulation.optimal import Optimal
from benchmarks.simulation.outcome import run, run_optimum
from benchmarks.simulation.policy import Drop, FifoQueue, Policy
from benchmarks.simulation.request import Batch, Request
from benchmarks.simulation.service import HeavyTailed, Stalling, Stepwise

from headway.scheduling.scheduler import Wait
from tests.simulation.cases import CONSTANT, SMALL, make_case


def request(at: float = 0.0, due: float = 100.0, rows: int = 1) -> Request:
    return Request(at, due, rows, 0, 0)


def arrive(policy: Policy, count: int, at: float, due: float = 100.0) -> None:
    for _ in range(count):
        assert policy.arrive(request(at, due), at)


def dispatch(policy: Policy, now: float) -> int:
    """Start the batch that the policy decides on; return its rows."""
    batch = policy.schedule(now)
    assert isinstance(batch, Batch)
    return batch.rows


@pytest.mark.parametrize("window_ms", [1, 5, 10])
def test_a_lone_request_waits_for_the_whole_window(window_ms: int) -> None:
    case = make_case(Crowd(clients=1), service=CONSTANT)
    outcome = run(case, f"window-{window_ms}ms")
    assert outcome.p50_ms == pytest.approx(4 + window_ms)


def test_a_window_ends_when_the_batch_is_full() -> None:
    policy = FixedWindow(max_rows=3, replicas=1, window_s=0.01)
    arrive(policy, 2, at=0.0)
    assert policy.schedule(0.0) == Wait(0.01)
    arrive(policy, 2, at=0.004)
    assert dispatch(policy, 0.004) == 3
    assert policy.schedule(0.004) is None  # busy
    assert policy.schedule(0.02) is None


def test_a_window_is_of_the_oldest_request() -> None:
    policy = FixedWindow(max_rows=3, replicas=1, window_s=0.01)
    arrive(policy, 1, at=0.0)
    arrive(policy, 1, at=0.009)
    assert policy.schedule(0.009) == Wait(0.01)
    assert dispatch(policy, 0.01) == 2


def test_never_waiting_serves_a_lone_request_at_once() -> None:
    case = make_case(Crowd(clients=1), service=CONSTANT)
    assert run(case, "never-wait").p99_ms == pytest.approx(4)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(FixedWindow(max_rows=8, replicas=1, window_s=0.0), id="window"),
        pytest.param(Aimd(max_rows=8, replicas=1, objective_s=1.0), id="aimd"),
    ],
)
def test_what_is_past_its_deadline_is_dropped_at_dispatch(policy: Policy) -> None:
    arrive(policy, 2, at=0.0, due=1.0)
    arrive(policy, 1, at=0.5, due=1.5)
    drop = policy.schedule(1.0)
    assert isinstance(drop, Drop)
    assert len(drop.requests) == 2
    assert dispatch(policy, 1.0) == 1


def test_a_queue_is_bounded_and_cuts_no_request() -> None:
    queue = FifoQueue()
    for rows in (3, 4, 2):
        assert queue.push(request(rows=rows))
    assert not queue.push(request(rows=100_000))
    batch = queue.pop_batch(8)
    assert [one.rows for one in batch.requests] == [3, 4]
    assert (batch.rows, queue.rows) == (7, 2)


def train(policy: Cork, seconds_per_row: float, base_s: float) -> float:
    """Let CORK see its training batches; return the time then."""
    now = 0.0
    for rows in (*[1] * 9, 2, 3):
        arrive(policy, rows, at=now)
        batch = policy.schedule(now)
        assert isinstance(batch, Batch)
        assert batch.rows == rows
        took_s = base_s + seconds_per_row * rows
        now += took_s
        policy.update(batch, took_s, now)
    return now


def make_cork(max_latency_s: float = 1.0) -> Cork:
    return Cork(max_rows=32, replicas=1, max_latency_s=max_latency_s)


def test_cork_looks_once_in_a_tick() -> None:
    policy = make_cork()
    now = train(policy, 1e-4, 1e-3)
    arrive(policy, 1, at=now)
    assert dispatch(policy, now) == 1
    # It rests while nothing waits, looks at once, and sees that it is busy.
    came = now + 0.0004
    arrive(policy, 1, at=came)
    assert policy.schedule(came) == Wait(came + 1e-3)
    arrive(policy, 1, at=now + 0.0009)
    assert policy.schedule(now + 0.0009) == Wait(came + 1e-3)


def test_cork_waits_for_the_second_and_third_row_of_its_training() -> None:
    policy = make_cork(max_latency_s=0.5)
    now = 0.0
    for _ in range(9):
        arrive(policy, 1, at=now)
        batch = policy.schedule(now)
        assert isinstance(batch, Batch)
        now += 0.01
        policy.update(batch, 0.01, now)
    arrive(policy, 1, at=now)
    assert isinstance(policy.schedule(now), Wait)
    # Two rows take 10 ms at this speed: it waits until that would be too late.
    assert isinstance(policy.schedule(now + 0.48), Wait)
    assert dispatch(policy, now + 0.495) == 1


def test_cork_sheds_the_oldest_by_its_whole_queue() -> None:
    policy = make_cork(max_latency_s=0.0195)
    now = train(policy, 1e-3, 1e-3)
    # It has learned 1 ms + 1 ms a row: 19 rows take 20 ms, 18 rows 19 ms.
    arrive(policy, 19, at=now)
    drop = policy.schedule(now)
    assert isinstance(drop, Drop)
    assert len(drop.requests) == 1
    assert dispatch(policy, now) == 18


def test_cork_sheds_under_overload() -> None:
    case = make_case(Poisson(rate=20_000.0), seconds=2.0, deadline_s=0.05)
    outcome = run(case, "cork")
    assert outcome.dropped > 0.4 * outcome.offered
    assert outcome.overdue < 0.01 * outcome.answered


def test_cork_waits_while_more_would_share_the_batch() -> None:
    policy = make_cork()
    now = train(policy, 1e-4, 1e-3)
    waits = 0
    for _ in range(300):  # the oldest of each batch waits for 20 ms
        arrive(policy, 1, at=now - 0.02)
        decision = policy.schedule(now)
        while isinstance(decision, Wait):
            waits += 1
            now = decision.until
            decision = policy.schedule(now)
        assert isinstance(decision, Batch)
        now += 0.03
        policy.update(decision, 1.1e-3, now)
    # Alone, and 20 ms old, it is not worth waiting longer: 21.1 ms > 0.95 * 20 ms.
    assert waits == 0
    arrive(policy, 1, at=now)
    assert policy.schedule(now) == Wait(now + 1e-3)


def test_aimd_grows_with_full_batches_and_shrinks_by_a_tenth() -> None:
    policy = Aimd(max_rows=32, replicas=1, objective_s=0.01)
    sizes = []
    for took_s in (0.001, 0.001, 0.001, 0.02, 0.001):
        arrive(policy, 10, at=0.0)
        batch = policy.schedule(0.0)
        assert isinstance(batch, Batch)
        sizes.append(batch.rows)
        policy.update(batch, took_s, 0.0)
    assert sizes == [1, 2, 3, 4, 3]  # 4 * 0.9, rounded down


def test_aimd_does_not_grow_with_what_is_not_full() -> None:
    policy = Aimd(max_rows=32, replicas=1, objective_s=0.01)
    for rows, expected in ((5, 1), (5, 2), (0, 3)):
        arrive(policy, rows, at=0.0)
        batch = policy.schedule(0.0)
        assert isinstance(batch, Batch)
        assert batch.rows == expected
        policy.update(batch, 0.001, 0.0)


def test_aimd_reaches_the_largest_batch_that_meets_the_objective() -> None:
    # 1 ms + 0.1 ms a row: 20 rows take 3 ms.
    case = make_case(Poisson(rate=20_000.0), seconds=3.0, deadline_s=3.05e-3)
    assert 18 <= run(case, "aimd").batch_rows <= 21
    assert SMALL.mean_s(20) < 3.05e-3 < SMALL.mean_s(21)


@pytest.mark.parametrize("load", [0.3, 0.6])
@pytest.mark.parametrize(
    "service",
    [
        pytest.param(Stepwise(base_s=1e-3, step_s=2e-3, step_rows=8), id="stepwise"),
        pytest.param(Stalling(of=SMALL, share=0.05, factor=5.0), id="stalling"),
        pytest.param(HeavyTailed(of=SMALL, sigma=0.4), id="lognormal"),
    ],
)
def test_the_optimum_reaches_what_was_computed(
    service: Stepwise | Stalling | HeavyTailed, load: float
) -> None:
    rate = load * best_rate(service, 16)
    case = make_case(
        Poisson(rate=rate), service=service, max_rows=16, seconds=100_000 / rate
    )
    outcome = run_optimum(case)
    assert outcome.mean_ms is not None
    assert outcome.error_ms is not None
    assert outcome.error_ms < 0.03 * outcome.mean_ms
    assert outcome.mean_ms == pytest.approx(outcome.exact_ms, abs=4 * outcome.error_ms)


def test_the_optimum_serves_the_last_though_nobody_follows() -> None:
    policy = Optimal(batch_rows=[0, 0, 2], rate=100.0)
    arrive(policy, 1, at=0.0)
    assert policy.schedule(0.0) == Wait(0.5)
    arrive(policy, 1, at=0.1)
    assert dispatch(policy, 0.1) == 2
    policy.update(Batch([], 2), 0.01, 0.2)
    arrive(policy, 1, at=0.3)
    assert policy.schedule(0.3) == Wait(0.8)
    assert dispatch(policy, 0.8) == 1
