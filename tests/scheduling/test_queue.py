"""The queue: earliest due first in a class, classes by rank, ageing by turns."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.queue import CallGroup, Queue
from tests.scheduling import builders


def group(name: str, *, rows: int = 1, due: float = 10.0, **options: Any) -> CallGroup:
    return builders.group(
        rows, due=due, arrived_at=0.0, nbytes=rows * 8, channel=Named(name), **options
    )


class Named(builders.NoChannel):
    """Carries the name of a group."""

    def __init__(self, name: str) -> None:
        self.name = name


def name_of(one: CallGroup) -> str:
    assert isinstance(one.channel, Named)
    return one.channel.name


def queue(*groups: CallGroup) -> Queue:
    made = Queue()
    for one in groups:
        made.push(one)
    return made


def drain(queue_: Queue, most: int = 1) -> list[str]:
    names = []
    while (first := queue_.next()) is not None:
        names += [name_of(part.group) for part in queue_.take(first, most)]
    assert (queue_.rows, queue_.nbytes) == (0, 0)
    return names


def test_an_empty_queue_has_nothing_next() -> None:
    empty = queue()
    assert empty.next() is None
    assert empty.first_due() == math.inf
    assert list(empty.expire(100.0)) == []


def test_the_earliest_due_goes_first_and_equals_in_order_of_arrival() -> None:
    queue_ = queue(
        group("b", due=2), group("d", due=3), group("a", due=1), group("c", due=2)
    )
    assert queue_.first_due() == 1
    assert drain(queue_) == ["a", "b", "c", "d"]


def test_keys_do_not_share_batches() -> None:
    queue_ = queue(group("b", due=2, key=b"x"), group("a", due=1), group("c", due=3))
    first = queue_.next()
    assert first is not None
    assert [name_of(part.group) for part in queue_.take(first, 10)] == ["a", "c"]
    assert drain(queue_) == ["b"]


def test_equal_sub_queues_go_in_order_of_arrival() -> None:
    queue_ = queue(group("a", key=b"x"), group("b", key=b"w"))
    assert drain(queue_) == ["a", "b"]


def test_a_lower_class_goes_after_it_was_passed_over_16_times() -> None:
    highs = [group(f"high{i}", due=9, priority=0) for i in range(30)]
    low = group("low", due=99, priority=1, key=b"other")
    names = drain(queue(low, *highs))
    # One class up after 8 batches, where those that are due first still go before it;
    # above them after another 8.
    assert names.index("low") == 16


def test_less_urgent_classes_get_fewer_turns() -> None:
    queue_ = queue(
        *(group("0", priority=0) for _ in range(500)),
        *(group("2", priority=2, key=b"2") for _ in range(50)),
        *(group("5", priority=5, key=b"5") for _ in range(50)),
    )
    names = []
    for _ in range(300):
        first = queue_.next()
        assert first is not None
        names += [name_of(part.group) for part in queue_.take(first, 1)]
    assert names.count("2") > 1.5 * names.count("5") > 0
    assert names.count("0") > 0.9 * len(names)


def test_classes_of_one_key_share_a_batch_the_most_urgent_first() -> None:
    queue_ = queue(
        group("low", priority=3, rows=2, due=1),
        group("high", priority=1, rows=2, due=5),
        group("strange", priority=2, key=b"x"),
    )
    first = queue_.next()
    assert first is not None
    assert queue_.rows_like(first) == 4
    assert [name_of(part.group) for part in queue_.take(first, 3)] == ["high"]
    first = queue_.next()
    assert first is not None
    assert queue_.rows_like(first) == 1
    assert drain(queue_, 9) == ["strange", "low"]
    queue_ = queue(group("low", priority=3), group("high", priority=1))
    assert drain(queue_, 9) == ["high", "low"]


def test_a_full_queue_evicts_what_would_go_last() -> None:
    queue_ = queue(
        group("a", priority=2, due=5),
        group("b", priority=2, due=9),
        group("c", priority=1, due=99),
    )
    assert queue_.evict(2) is None
    evicted = queue_.evict(1)
    assert evicted is not None
    assert (name_of(evicted), evicted.left) == ("b", 0)
    assert evicted.remaining_calls() == [0]
    assert queue_.rows == 2
    assert queue().evict(0) is None
    assert drain(queue_) == ["c", "a"]


def test_evictions_go_from_the_last_to_the_first() -> None:
    queue_ = queue(
        group("2 late", priority=2, due=9),
        group("3 early", priority=3, due=1),
        group("3 other key", priority=3, due=7, key=b"x"),
        group("3 late", priority=3, due=8),
        group("2 early", priority=2, due=5),
    )
    names = []
    while (evicted := queue_.evict(1)) is not None:
        names.append(name_of(evicted))
    assert names == ["3 late", "3 other key", "3 early", "2 late", "2 early"]
    assert (queue_.rows, queue_.nbytes) == (0, 0)


def test_it_is_mixed_while_several_classes_wait() -> None:
    queue_ = queue(group("a", priority=1), group("b", priority=1, key=b"x"))
    mixed = [queue_.is_mixed]
    queue_.push(group("c", priority=2))
    mixed.append(queue_.is_mixed)
    queue_.evict(1)
    mixed.append(queue_.is_mixed)
    assert mixed == [False, True, False]


def test_a_shared_batch_ends_with_a_call_that_does_not_fit() -> None:
    queue_ = queue(
        group("high", priority=0, rows=3),
        group("middle", priority=1, rows=5),
        group("low", priority=2, rows=1),
    )
    first = queue_.next()
    assert first is not None
    # The one row of the lowest class would fit, but not before a more urgent one.
    assert [name_of(part.group) for part in queue_.take(first, 6)] == ["high"]
    assert drain(queue_, 6) == ["middle", "low"]


def test_a_call_that_is_never_batched_goes_alone() -> None:
    queue_ = queue(group("a", alone=True, rows=3), group("b", alone=True))
    first = queue_.next()
    assert first is not None
    assert [part.rows for part in queue_.take(first, 10)] == [3]
    assert drain(queue_) == ["b"]


def test_ahead_counts_urgent_classes_and_earlier_calls_of_its_own() -> None:
    queue_ = queue(
        group("a", rows=1, priority=0, due=99),
        group("b", rows=2, priority=1, due=5),
        group("c", rows=4, priority=1, due=7),
        group("d", rows=8, priority=2, due=1),
        group("e", rows=9, priority=1, due=5, key=b"other"),
    )

    def ahead(priority: int, due: float) -> tuple[int, int]:
        return queue_.ahead(priority, due, None)[:2]

    # Of the first with 2 and 4 rows one group in two goes before: about 3 rows.
    assert ahead(1, 6.0) == (1 + 3 + 9, 3 + 9)
    assert ahead(1, 5.0) == (1 + 3 + 9, 3 + 9)
    assert ahead(1, 4.0) == (1, 0)
    assert ahead(0, 4.0) == (0, 0)
    assert ahead(2, 99.0) == (queue_.rows, 8)
    assert queue_.ahead(1, 6.0, None)[2] == 16
    assert queue_.ahead(0, 6.0, None)[2] == 8


def test_expired_groups_leave_the_queue_with_their_calls() -> None:
    queue_ = queue(group("a", due=1), group("b", due=2), group("c", due=1, key=b"x"))
    late = list(queue_.expire(1.5))
    assert sorted(name_of(one) for one in late) == ["a", "c"]
    assert [one.remaining_calls() for one in late] == [[0], [0]]
    assert [one.left for one in late] == [0, 0]
    assert queue_.rows == 1
    assert drain(queue_) == ["b"]


def test_a_removed_group_leaves_the_queue() -> None:
    queue_ = queue(group("a", rows=3, due=1), group("b"))
    first = queue_.next()
    assert first is not None
    assert name_of(queue_.remove(first, first.head)) == "a"
    assert (queue_.rows, first.rows) == (1, 1)


def test_withdrawing_empties_sub_queues() -> None:
    one, other = group("a", rows=3), group("b")
    queue_ = queue(one, other)
    assert queue_.withdraw(one, 0) == 3
    assert queue_.withdraw(one, 0) == 0
    assert queue_.withdraw(other, 5) == 0
    assert queue_.withdraw(other, 0) == 1
    assert queue_.next() is None
    assert (queue_.rows, queue_.nbytes) == (0, 0)
    assert queue_.withdraw(group("never pushed"), 0) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=8))
def test_the_order_is_that_of_a_stable_sort(groups: list[tuple[int, int]]) -> None:
    made = [
        group(str(i), due=due, priority=priority)
        for i, (due, priority) in enumerate(groups)
    ]
    # Too few to lift a class by ageing.
    expected = sorted(made, key=lambda one: (one.priority, one.due, int(name_of(one))))
    assert drain(queue(*made)) == [name_of(one) for one in expected]


@pytest.mark.parametrize("due", [0.0, 3.0, 10.0, 20.0])
@given(dues=st.lists(st.integers(0, 20), max_size=20))
def test_rows_due_by_is_a_count(due: float, dues: list[int]) -> None:
    queue_ = queue(*(group("x", due=one, rows=2) for one in dues))
    assert queue_.ahead(0, due, None)[0] == 2 * sum(one <= due for one in dues)


def test_a_class_that_was_alone_does_not_keep_its_age() -> None:
    urgent = [group("urgent", rows=10) for _ in range(40)]
    queue_ = queue(*urgent, group("patient", rows=10, priority=5))
    for _ in range(40):
        first = queue_.next()
        assert first is not None
        assert first.priority == 0
        queue_.take(first, 10)
    first = queue_.next()
    assert first is not None
    queue_.take(first, 10)
    queue_.push(group("patient", rows=10, priority=5))
    queue_.push(group("urgent", rows=10, due=20.0))
    first = queue_.next()
    assert first is not None
    assert first.priority == 0
