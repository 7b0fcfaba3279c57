"""Groups are cut into slices without losing, doubling or reordering a row."""

from hypothesis import given
from hypothesis import strategies as st

from headway.scheduling.queue import BatchSlice, CallGroup
from tests.scheduling.builders import group


def shape(part: BatchSlice) -> tuple[int, int, int, int]:
    return (part.first, part.end, part.skip, part.rows)


def cut(one: CallGroup, *most: int) -> list[list[tuple[int, int, int, int]]]:
    return [[shape(part) for part in one.take(n)] for n in most]


def test_a_group_that_fits_is_one_slice() -> None:
    one = group(3, 2, 4)
    assert one.next_rows == 3
    assert cut(one, 9) == [[(0, 3, 0, 9)]]
    assert one.left == 0


def test_calls_within_the_maximum_are_not_split() -> None:
    one = group(3, 4, 5)
    assert cut(one, 8, 8) == [[(0, 2, 0, 7)], [(2, 3, 0, 5)]]
    assert cut(group(6, 3), 5, 10) == [[], [(0, 2, 0, 9)]]


def test_a_call_larger_than_a_batch_is_split_in_order() -> None:
    one = group(2, 25, 1)
    slices = [one.take(10) for _ in range(3)]
    assert [list(map(shape, batch)) for batch in slices] == [
        [(0, 1, 0, 2), (1, 2, 0, 8)],
        [(1, 2, 8, 10)],
        [(1, 2, 18, 7), (2, 3, 0, 1)],
    ]
    first, middle, last = slices[0][1], slices[1][0], slices[2][0]
    assert [first.start_row, middle.start_row, last.start_row] == [2, 10, 20]
    assert [part.is_partial for part in (first, middle, last)] == [True] * 3
    assert [part.answered for part in (first, middle, last)] == [0, 0, 1]
    assert not slices[2][1].is_partial
    assert slices[2][1].answered == 1


def test_a_call_that_is_never_batched_is_not_split() -> None:
    one = group(25, 1, alone=True)
    assert cut(one, 10, 10, 10) == [[(0, 1, 0, 25)], [(1, 2, 0, 1)], []]


def test_withdrawn_calls_are_skipped() -> None:
    one = group(1, 2, 3, 4)
    assert one.withdraw(0) == 1
    assert one.withdraw(2) == 3
    assert one.withdraw(2) == 0
    assert one.withdraw(4) == 0
    assert one.remaining_calls() == [1, 3]
    assert one.next_rows == 2
    assert cut(one, 10) == [[(1, 2, 0, 2), (3, 4, 0, 4)]]
    assert one.withdraw(1) == 0


def test_the_rest_of_a_split_call_can_be_withdrawn() -> None:
    one = group(25, 1)
    assert cut(one, 10) == [[(0, 1, 0, 10)]]
    assert one.next_rows == 15
    assert one.withdraw(0) == 15
    assert cut(one, 10) == [[(1, 2, 0, 1)]]


def check_slice(part: BatchSlice, taken: dict[int, int]) -> None:
    """Check a slice against what was taken before, and note it."""
    one = part.group
    for call in range(part.first, part.end):
        assert part.skip == taken.get(call, 0)
        rows = part.rows if part.end - part.first == 1 else one.rows[call]
        taken[call] = taken.get(call, 0) + rows
    if part.end - part.first == 1:
        assert part.answered == (taken[part.first] == one.rows[part.first])
    if part.is_partial:
        assert one.rows[part.first] > one.max_rows
        assert not one.alone


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
    st.integers(1, 12),
    st.booleans(),
    st.data(),
)
def test_every_row_is_in_one_slice_in_order(
    rows: list[int], max_rows: int, alone: bool, data: st.DataObject
) -> None:
    one = group(*rows, max_rows=max_rows, alone=alone)
    taken: dict[int, int] = {}
    withdrawn: dict[int, int] = {}
    at = (0, 0)
    while one.left:
        if data.draw(st.booleans(), label="withdraw"):
            call = data.draw(st.integers(0, len(rows) - 1))
            expected = 0
            if call in one.remaining_calls():
                expected = rows[call] - taken.get(call, 0)
            assert one.withdraw(call) == expected
            withdrawn[call] = withdrawn.get(call, 0) + expected
        most = data.draw(st.integers(1, max_rows), label="most")
        slices = one.take(most)
        total = sum(part.rows for part in slices)
        if alone:
            assert len(slices) <= 1
        else:
            assert total <= most
        for part in slices:
            assert (part.first, part.skip) >= at
            at = (part.first, part.skip)
            check_slice(part, taken)
        left = sum(
            rows[call] - taken.get(call, 0) - withdrawn.get(call, 0)
            for call in range(len(rows))
        )
        assert one.left == left
        assert bool(one.left) == bool(one.remaining_calls())
        if not total and one.left and not alone:
            assert most < one.next_rows <= max_rows  # it waits for a larger batch
    for call, size in enumerate(rows):
        assert taken.get(call, 0) + withdrawn.get(call, 0) == size
