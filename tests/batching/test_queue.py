"""The queue: earliest due first in a class, classes by rank, ageing through them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.batching.cohort import Cohort
from headway.batching.queue import Queue

AGEING_S = 0.5


def cohort(
    name: str,
    *,
    due: float = 10.0,
    rows: int = 1,
    key: bytes = b"k",
    priority: int = 0,
    arrived_at: float = 0.0,
    alone: bool = False,
) -> Cohort:
    return Cohort(
        key=key,
        method="predict",
        rows=[rows],
        due=due,
        arrived_at=arrived_at,
        max_rows=10,
        priority=priority,
        nbytes=rows * 8,
        alone=alone,
        load=name,
    )


def queue(*cohorts: Cohort) -> Queue:
    made = Queue(ageing_s=AGEING_S)
    for one in cohorts:
        made.push(one)
    return made


def drain(queue_: Queue, now: float = 0.0, most: int = 1) -> list[str]:
    names = []
    while (lane := queue_.next_lane(now)) is not None:
        names += [piece.cohort.load for piece in queue_.take(lane, most)]
    assert (queue_.rows, queue_.nbytes) == (0, 0)
    return names


def test_an_empty_queue_has_no_lane() -> None:
    empty = queue()
    assert empty.next_lane(0.0) is None
    assert empty.first_due() == math.inf
    assert list(empty.expire(100.0)) == []


def test_the_earliest_due_goes_first_and_equals_in_order_of_arrival() -> None:
    queue_ = queue(
        cohort("b", due=2), cohort("d", due=3), cohort("a", due=1), cohort("c", due=2)
    )
    assert queue_.first_due() == 1
    assert drain(queue_) == ["a", "b", "c", "d"]


def test_keys_do_not_mix_but_share_the_order() -> None:
    queue_ = queue(cohort("b", due=2, key=b"x"), cohort("a", due=1), cohort("c", due=3))
    lane = queue_.next_lane(0.0)
    assert lane is not None
    assert [piece.cohort.load for piece in queue_.take(lane, 10)] == ["a", "c"]
    assert drain(queue_) == ["b"]


def test_equal_lanes_go_in_order_of_arrival() -> None:
    queue_ = queue(cohort("a", key=b"x"), cohort("b", key=b"w"))
    assert drain(queue_) == ["a", "b"]


def test_a_class_goes_before_the_next_until_that_has_aged() -> None:
    def made() -> Queue:
        return queue(
            cohort("low", due=1, priority=2, arrived_at=0.0),
            cohort("high", due=9, priority=0, arrived_at=0.9),
        )

    assert drain(made(), now=0.9) == ["high", "low"]
    assert drain(made(), now=1.0) == ["low", "high"]  # two classes up after 2 * 0.5 s
    assert drain(made(), now=9.0) == ["low", "high"]  # never above the highest


def test_what_goes_alone_goes_alone() -> None:
    queue_ = queue(cohort("a", alone=True, rows=3), cohort("b", alone=True))
    lane = queue_.next_lane(0.0)
    assert lane is not None
    assert [piece.rows for piece in queue_.take(lane, 10)] == [3]
    assert drain(queue_) == ["b"]


def test_rows_ahead_counts_higher_classes_and_earlier_ones_of_the_same() -> None:
    queue_ = queue(
        cohort("a", rows=1, priority=0, due=99),
        cohort("b", rows=2, priority=1, due=5),
        cohort("c", rows=4, priority=1, due=7),
        cohort("d", rows=8, priority=2, due=1),
        cohort("e", rows=9, priority=1, due=5, key=b"other"),
    )
    assert queue_.rows_ahead(1, 6.0) == 1 + 2 + 9
    assert queue_.rows_ahead(1, 5.0) == 1 + 2 + 9
    assert queue_.rows_ahead(1, 4.0) == 1
    assert queue_.rows_ahead(0, 4.0) == 0
    assert queue_.rows_ahead(2, 99.0) == queue_.rows


def test_expired_cohorts_come_out_with_their_calls() -> None:
    queue_ = queue(cohort("a", due=1), cohort("b", due=2), cohort("c", due=1, key=b"x"))
    late = list(queue_.expire(1.5))
    assert sorted(one.load for one in late) == ["a", "c"]
    assert [one.remaining_calls() for one in late] == [[0], [0]]
    assert [one.left for one in late] == [0, 0]
    assert queue_.rows == 1
    assert drain(queue_) == ["b"]


def test_a_dropped_head_is_out() -> None:
    queue_ = queue(cohort("a", rows=3, due=1), cohort("b"))
    lane = queue_.next_lane(0.0)
    assert lane is not None
    assert queue_.drop(lane).load == "a"
    assert (queue_.rows, lane.rows) == (1, 1)


def test_withdrawing_empties_lanes() -> None:
    one, other = cohort("a", rows=3), cohort("b")
    queue_ = queue(one, other)
    assert queue_.withdraw(one, 0) == 3
    assert queue_.withdraw(one, 0) == 0
    assert queue_.withdraw(other, 5) == 0
    assert queue_.withdraw(other, 0) == 1
    assert queue_.next_lane(0.0) is None
    assert (queue_.rows, queue_.nbytes) == (0, 0)
    assert queue_.withdraw(cohort("never pushed"), 0) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_the_order_is_that_of_a_stable_sort(cohorts: list[tuple[int, int]]) -> None:
    made = [
        cohort(str(i), due=due, priority=priority)
        for i, (due, priority) in enumerate(cohorts)
    ]
    expected = sorted(made, key=lambda one: (one.priority, one.due, int(one.load)))
    assert drain(queue(*made)) == [one.load for one in expected]


@pytest.mark.parametrize("due", [0.0, 3.0, 10.0, 20.0])
@given(dues=st.lists(st.integers(0, 20), max_size=20))
def test_rows_due_by_is_a_count(due: float, dues: list[int]) -> None:
    queue_ = queue(*(cohort("x", due=one, rows=2) for one in dues))
    assert queue_.rows_ahead(0, due) == 2 * sum(one <= due for one in dues)
