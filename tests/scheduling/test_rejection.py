"""The scheduler under overload: which calls are refused, and which are evicted."""

from typing import Any

import pytest

from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Scheduler, Wait
from tests.scheduling.builders import (
    NOW,
    dispatch,
    dispatched,
    drop_head,
    group,
    rejected,
    scheduler,
    teach,
)


def test_a_burst_may_queue_longer_than_a_lasting_backlog() -> None:
    queued = {}
    for stands in (False, True):
        made = scheduler()
        teach(made, 10, 0.01)
        made.arrive(group(1, due=NOW + 1), NOW)
        now = NOW
        if stands:  # for three seconds, half of what each request has is gone
            made.arrive(group(*[10] * 30, due=NOW + 0.5), now)
            for _ in range(30):
                now += 0.1
                teach(made, 10, 0.01, now)
                made.arrive(group(1, due=now + 1, arrived_at=now), now)
        taken_of_burst(made, now)
        queued[stands] = made.queue.rows
    assert queued[False] == pytest.approx(10 / (1.4 * 0.01), abs=20)
    assert queued[True] < 0.75 * queued[False]


def taken_of_burst(made: Scheduler, now: float) -> int:
    """Return how many of 200 full batches, due in a second, are let in."""
    return sum(
        made.arrive(group(10, due=now + 1, arrived_at=now), now) is None
        for _ in range(200)
    )


def test_a_burst_after_a_pause_is_no_lasting_backlog() -> None:
    made = scheduler()
    teach(made, 10, 0.01, NOW - 60)
    made.arrive(group(1, due=NOW - 59), NOW - 60)
    dispatched(made, NOW - 60)
    # Costs learned a minute ago reject nothing until the first batch is done.
    for _ in range(20):
        assert made.arrive(group(10, due=NOW + 1), NOW) is None
    teach(made, 10, 0.01, NOW)
    assert 20 + taken_of_burst(made, NOW) == pytest.approx(1 / (1.4 * 0.01), abs=3)


def test_a_full_queue_evicts_less_urgent_calls() -> None:
    made = scheduler(
        group(4, priority=5, due=NOW + 9),
        group(4, priority=5, due=NOW + 5),
        group(2, priority=3),
        max_queue_rows=10,
    )
    rejection = made.arrive(group(3, priority=5, due=NOW + 1), NOW)
    assert rejection is not None
    assert rejection.reason == "queue_full"
    assert made.arrive(group(3, priority=4, due=NOW + 8), NOW) is None
    evict = rejected(made)
    assert evict.reason == "evicted"
    assert [one.due for one in evict.groups] == [NOW + 9], "that would go last"
    assert dispatched(made) == [2, 3, 4]
    assert made.schedule(NOW) is None


def test_a_group_larger_than_the_queue_evicts_nothing() -> None:
    limits = {"max_queue_rows": 10, "max_queue_bytes": 100}
    made = scheduler(group(1, priority=5, nbytes=1), **limits)
    for oversize in (group(11, priority=0), group(1, priority=0, nbytes=101)):
        rejection = made.arrive(oversize, NOW)
        assert rejection is not None
        assert rejection.reason == "queue_full"
    assert dispatched(made) == [1]


def test_eviction_frees_bytes_too() -> None:
    made = scheduler(
        *(group(1, priority=5, nbytes=40) for _ in range(2)), max_queue_bytes=100
    )
    assert made.arrive(group(1, priority=0, nbytes=90), NOW) is None
    assert len(rejected(made).groups) == 2
    assert made.queue.nbytes == 90


def test_urgent_calls_are_not_rejected_for_a_less_urgent_backlog() -> None:
    made = scheduler(*(group(10, priority=5, due=NOW + 1) for _ in range(100)))
    teach(made, 10, 0.1)
    assert made.arrive(group(1, priority=5, due=NOW + 1), NOW) is not None
    assert made.arrive(group(1, priority=4, due=NOW + 1), NOW) is None


def test_ageing_bounds_the_predicted_wait_of_a_class() -> None:
    made = scheduler(*(group(10, priority=0) for _ in range(1000)))
    teach(made, 10, 0.01)
    # One class lower, every sixteenth batch is its own.
    assert made.arrive(group(1, priority=1, due=NOW + 0.2), NOW) is not None
    assert made.arrive(group(1, priority=1, due=NOW + 0.3), NOW) is None


def row_s(made: Scheduler, **options: Any) -> float:
    """Return what the answers of a batch say that each row ahead adds."""
    assert made.arrive(group(30, **options), NOW) is None
    return made.update(dispatch(made).number, None, NOW)[1]


def test_a_row_adds_its_share_of_a_batch_to_the_backlog() -> None:
    assert row_s(scheduler()) == 0.0, "nothing is known"
    made = scheduler()
    teach(made, 10, 0.1)
    one = row_s(made)
    assert one == pytest.approx(1.4 * 0.01, rel=0.1)
    made.replicas = 4
    assert row_s(made) == pytest.approx(one / 4)
    alone = scheduler()
    teach(alone, 30, 0.1)
    assert row_s(alone, alone=True) == pytest.approx(1.4 * 0.1 / 30, rel=0.1)


def next_s(*behind: CallGroup) -> float:
    """Return what the answers of a batch say about the queue behind it."""
    made = scheduler(group(10, due=NOW + 2, priority=5))
    teach(made, 10, 0.1)
    batch = dispatch(made)
    for one in behind:
        assert made.arrive(one, NOW) is None
    return made.update(batch.number, None, NOW)[0]


def test_answers_report_the_queue_delay_of_a_call_like_theirs() -> None:
    assert next_s() == 0.0
    ahead = [group(10, due=NOW + 2, priority=5) for _ in range(3)]
    assert next_s(*ahead) == pytest.approx(1.4 * 0.3 + 0.1)
    ahead = [group(10, due=NOW + 2, priority=5) for _ in range(3)]
    less_urgent = group(10, due=NOW + 2, priority=6)
    due_later = group(10, due=NOW + 9, priority=5)
    assert next_s(*ahead, less_urgent, due_later) == pytest.approx(1.4 * 0.3 + 0.1)
    ahead = [group(10, due=NOW + 2, priority=5) for _ in range(3)]
    assert next_s(*ahead, group(10, priority=4)) == pytest.approx(1.4 * 0.4 + 0.1)
    other = group(1, method="other", key=b"o", due=NOW + 9)
    assert next_s(group(10, priority=5), other) == 0.0, "another method is unknown"


def test_a_call_that_will_be_late_evicts_nothing() -> None:
    before = group(10, priority=5, due=NOW + 0.15)
    made = scheduler(before, group(10, priority=9), max_queue_rows=20)
    teach(made, 10, 0.1)
    rejection = made.arrive(group(10, priority=5, due=NOW + 0.15), NOW)
    assert rejection is not None
    assert rejection.reason == "predicted_late"
    assert made.queue.rows == 20


def test_a_batch_smaller_than_any_known_does_not_wait() -> None:
    made = scheduler(replicas=2)
    teach(made, 8, 0.001)
    assert made.arrive(group(1, due=NOW + 30), NOW) is None
    assert dispatched(made) == [1]


def test_a_full_batch_does_not_wait_for_a_share_of_another() -> None:
    made = scheduler(replicas=2)
    for rows in (1, 2, 5, 10):
        teach(made, rows, 0.001 + 0.0001 * rows)
    for step in range(500):  # 9,000 rows a second
        now = NOW + step / 1000
        assert made.arrive(group(9, arrived_at=now), now) is None
        drop_head(made)
    first = group(1, due=now + 1, arrived_at=now)
    assert made.arrive(first, now) is None
    assert isinstance(made.schedule(now), Wait)
    other = group(10, key=b"other", due=now + 2, arrived_at=now)
    assert made.arrive(other, now) is None
    assert dispatched(made, now) == [1]
    assert dispatched(made, now) == [10]


def test_backlog_counts_each_method_at_its_speed() -> None:
    made = scheduler()
    teach(made, 10, 0.1)
    for _ in range(10):
        made.cost("quick").observe(10, 0.001, NOW)
    for _ in range(50):
        quick = group(10, key=b"q", method="quick", due=NOW + 0.5)
        assert made.arrive(quick, NOW) is None
    assert made.arrive(group(10, due=NOW + 0.5), NOW) is None, "0.07 s and its own"
    for _ in range(10):
        made.arrive(group(10, due=NOW + 2), NOW)
    quick = group(10, key=b"q", method="quick", due=NOW + 2)
    rejection = made.arrive(quick, NOW + 0.9)
    assert rejection is not None, "behind ten slow batches it is late"
