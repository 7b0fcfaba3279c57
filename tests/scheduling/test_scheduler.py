"""The scheduler: bounds kept, no idling that is not paid for."""

from typing import Any

import pytest

from headway.scheduling.arrivals import GatherWindow
from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Scheduler, Wait
from tests.scheduling.builders import (
    NOW,
    dispatch,
    dispatched,
    drop_head,
    group,
    occupy,
    queue_delay_s,
    rejected,
    scheduler,
    teach,
)
from tests.scheduling.simulation import Simulation


def test_an_empty_queue_needs_no_decision() -> None:
    assert scheduler().schedule(NOW) is None


def test_calls_go_at_once_before_any_cost_is_known() -> None:
    assert dispatched(scheduler(group(1, 2), group(3))) == [3, 3]


def test_a_batch_keeps_max_batch_size() -> None:
    made = scheduler(group(6), group(3), group(2))
    assert dispatched(made) == [6, 3]
    assert dispatched(made) == [2]


def test_a_call_above_max_batch_size_is_split_in_order() -> None:
    made = scheduler(group(25), group(4))
    assert [dispatched(made) for _ in range(3)] == [[10], [10], [5, 4]]


def test_busy_replicas_get_no_batch() -> None:
    made = scheduler(group(1), replicas=0)
    assert made.schedule(NOW) is None
    made.replicas = 1
    batch = dispatch(made)
    made.arrive(group(2), NOW)
    assert made.schedule(NOW) is None
    made.update(batch.number, 0.001, NOW)
    assert dispatched(made) == [2]


def test_while_all_replicas_are_busy_it_waits_for_the_first_deadline() -> None:
    made = scheduler()
    occupy(made, 1)
    for due_s in (2, 1):
        made.arrive(group(1, due=NOW + due_s), NOW)
    assert made.schedule(NOW) == Wait(NOW + 1)
    late = rejected(made, NOW + 1)
    assert late.reason == "late"
    assert [one.due for one in late.groups] == [NOW + 1]
    assert made.schedule(NOW + 1) == Wait(NOW + 2)


def test_calls_past_their_deadline_are_rejected() -> None:
    made = scheduler(group(1, due=NOW + 1))
    rejection = made.arrive(group(1, due=NOW), NOW)
    assert rejection is not None
    assert rejection.reason == "deadline_passed"
    assert rejected(made, NOW + 1).reason == "late"
    assert made.schedule(NOW + 1) is None


@pytest.mark.parametrize(
    ("batching", "queued"),
    [({"max_queue_rows": 10}, group(8)), ({"max_queue_bytes": 99}, group(1))],
    ids=["rows", "bytes"],
)
def test_a_full_queue_refuses(batching: dict[str, int], queued: CallGroup) -> None:
    queued.nbytes = 60
    made = scheduler(queued, **batching)
    rejection = made.arrive(group(3, nbytes=50), NOW)
    assert rejection is not None
    assert rejection.reason == "queue_full"
    assert rejection.retry_after_s >= 0


def test_an_empty_queue_takes_a_group_of_any_size() -> None:
    scheduler(group(50, nbytes=500), max_queue_rows=10, max_queue_bytes=100)


def test_a_call_that_the_backlog_makes_late_is_rejected_with_retry_after() -> None:
    made = scheduler()
    teach(made, 10, 0.1)
    occupy(made, 10)
    for _ in range(3):
        assert made.arrive(group(10, due=NOW + 9), NOW) is None
    # 0.1 s for the running batch, three batches ahead that count for more, as their
    # speed is uncertain, and its own.
    assert queue_delay_s(made) == pytest.approx(0.1 + 1.4 * 0.3 + 0.1)
    assert made.arrive(group(10, due=NOW + 9.1), NOW) is None
    rejection = made.arrive(group(10, due=NOW + 9), NOW + 8.9)
    assert rejection is None, "what was learned 8.9 s ago is not trusted"
    rejection = made.arrive(group(10, due=NOW + 0.05), NOW)
    assert rejection is not None
    assert rejection.reason == "predicted_late"
    assert rejection.retry_after_s == pytest.approx(0.15)


def test_an_idle_replica_takes_a_call_with_little_time_left() -> None:
    made = scheduler()
    teach(made, 1, 0.1)
    assert made.arrive(group(1, due=NOW + 0.11), NOW) is None
    assert dispatched(made) == [1]


def test_calls_that_are_never_batched_are_priced_one_by_one() -> None:
    made = scheduler()
    teach(made, 100, 0.002)
    teach(made, 1, 0.001)
    for _ in range(5):
        # 100 rows each, alone: 2 ms each, though the cap is 10 rows; those ahead
        # count for more than they take.
        due = NOW + 0.0135
        assert made.arrive(group(100, due=due, alone=True), NOW) is None
    assert dispatched(made) == [100]
    assert rejected(made, NOW + 0.012).reason == "late", "2 ms do not fit in 1.5"


def test_retry_after_is_the_backlog_of_one_more_row() -> None:
    made = scheduler()
    teach(made, 1, 0.1)
    occupy(made, 1)
    assert made.arrive(group(1), NOW) is None
    # The rest of the running batch, and then two rows together: nothing is known of
    # two, so their time is assumed to be in proportion.
    assert queue_delay_s(made, NOW + 0.04) == pytest.approx(0.06 + 0.2)
    assert queue_delay_s(made, NOW + 0.5) == pytest.approx(0.2)
    assert made.arrive(group(1, priority=3), NOW) is None
    assert queue_delay_s(made) == 0.0, "it depends on the class"


def test_an_empty_queue_has_no_backlog() -> None:
    made = scheduler(group(1, due=NOW + 1))
    assert rejected(made, NOW + 1).retry_after_s == 0.0


def test_a_queued_call_that_cannot_be_in_time_is_rejected() -> None:
    made = scheduler(group(1, due=NOW + 0.2), group(1, due=NOW + 9))
    teach(made, 1, 0.1, NOW)
    late = rejected(made, NOW + 0.15)
    assert [one.due for one in late.groups] == [NOW + 0.2]
    assert dispatched(made, NOW + 0.15) == [1]


def test_a_batch_is_no_larger_than_the_earliest_deadline_allows() -> None:
    made = scheduler(group(1, due=NOW + 0.5), *(group(1) for _ in range(9)))
    for rows in range(1, 11):
        teach(made, rows, 0.1 + 0.06 * rows)
    assert 5 <= len(dispatched(made)) <= 6  # the tail of six is near 0.5 s
    made = scheduler(group(2, due=NOW + 0.25), *(group(1) for _ in range(9)))
    teach(made, 2, 0.24)
    teach(made, 10, 9.0)
    assert dispatched(made) == [2], "the head goes, though its tail is later"


@pytest.mark.parametrize(("rate", "batch"), [(0, 1), (5000, 3)])
def test_batches_grow_with_the_offered_load(rate: int, batch: int) -> None:
    made = scheduler()
    for rows in (1, 2, 5, 10):
        teach(made, rows, 0.00001 + 0.001 * rows)
    for step in range(rate // 10):
        now = NOW + step * 10 / rate
        assert made.arrive(group(10, arrived_at=now), now) is None
        drop_head(made)
    now = NOW + 1
    teach(made, 1, 0.00101, now)
    made.arrive(group(*[1] * 3, arrived_at=now), now)
    assert dispatch(made, now).rows == batch


def closed_loop() -> Scheduler:
    """Return a scheduler that saw 8 clients return 0.3 ms after each answer."""
    made = scheduler()
    for cycle in range(10):
        now = NOW - 10 + cycle
        for _ in range(8):
            made.arrive(group(1, arrived_at=now + 0.0003), now + 0.0003)
        batch = dispatch(made, now + 0.0003)
        assert batch.rows == 8
        made.update(batch.number, 0.004, NOW if cycle == 9 else now + 1)
    return made


def test_the_first_call_of_a_closed_loop_waits_for_the_others() -> None:
    made = closed_loop()
    made.arrive(group(1, arrived_at=NOW + 0.0001), NOW + 0.0001)
    decision = made.schedule(NOW + 0.0001)
    assert isinstance(decision, Wait)
    assert NOW + 0.0003 <= decision.until < NOW + 0.0005
    for _ in range(7):
        made.arrive(group(1, arrived_at=NOW + 0.0003), NOW + 0.0003)
    assert dispatched(made, NOW + 0.0003) == [1] * 8


@pytest.mark.parametrize(
    "options",
    [{"due": NOW + 0.0046}, {"alone": True}, {"max_rows": 1}],
    ids=["due before", "alone", "full"],
)
def test_calls_that_gain_nothing_do_not_wait(options: dict[str, Any]) -> None:
    made = closed_loop()
    assert made.arrive(group(1, **options), NOW + 0.0001) is None
    assert dispatched(made, NOW + 0.0001) == [1]


def test_with_two_idle_replicas_returns_are_not_waited_for() -> None:
    made = closed_loop()
    made.replicas = 2
    made.arrive(group(8, arrived_at=NOW), NOW + 0.0001)
    assert dispatched(made, NOW + 0.0001) == [8]


def test_a_lower_class_gets_its_turn_under_load() -> None:
    simulation = Simulation(seconds_of=lambda rows: 0.01, max_rows=1)
    answered: list[float] = []
    simulation.scheduler.cost("predict")
    for step in range(300):  # twice what one replica can do
        simulation.at(100.0 + 0.005 * step, lambda: simulation.call(1))

    def low() -> None:
        one = group(1, key=b"low", priority=1, max_rows=1, arrived_at=simulation.now)
        assert simulation.scheduler.arrive(one, simulation.now) is None
        simulation.watch(one, lambda: answered.append(simulation.now))

    simulation.at(100.1, low)
    simulation.run(3.0)
    assert len(answered) == 1
    # One class up after 0.5 s, where equal (endless) deadlines go by arrival.
    assert answered[0] < 100.1 + 0.5 + 0.25


@pytest.mark.interpreted
def test_each_method_has_its_own_gather_window(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scheduler(replicas=2)
    seen: list[tuple[int, int, int]] = []
    monkeypatch.setattr(
        GatherWindow,
        "arrived",
        lambda window, calls, rows, **_: seen.append((id(window), calls, rows)),
    )
    made.arrive(group(1, 2), NOW)
    made.arrive(group(5, method="other", key=b"o"), NOW)
    made.arrive(group(4), NOW)
    assert [(calls, rows) for _, calls, rows in seen] == [(2, 3), (1, 5), (1, 4)]
    assert seen[0][0] == seen[2][0] != seen[1][0]
