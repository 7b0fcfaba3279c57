"""The one queue of a runner: groups of calls, and the slices that batches take.

Groups go in order of their due time inside priority classes. A waiting class ages by
the batches that pass it over, not by the clock: whatever the model's speed and the
deadlines, each class gets its turn, the less often the less urgent it is.
runner/receiver makes groups; only the scheduler touches the Queue.
"""

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from headway.ipc.channel import Channel
from headway.ipc.records import CallKey, CallsFrame

_AGEING_BATCHES: Final = 8
"""Batches of more urgent classes that lift a waiting class by one."""


class BatchSlice:
    """Rows of consecutive calls of one group: whole calls, or a part of one.

    Attributes:
        group: The group of the calls.
        first: Index of the first call.
        end: Index after the last call.
        skip: Rows of the first call that went out in earlier slices.
        rows: Rows in this slice.
    """

    __slots__ = ("end", "first", "group", "rows", "skip")

    def __init__(
        self, group: "CallGroup", first: int, end: int, skip: int, rows: int
    ) -> None:
        self.group = group
        self.first = first
        self.end = end
        self.skip = skip
        self.rows = rows

    @property
    def start_row(self) -> int:
        """Index of the slice's first row among all rows of the group."""
        return self.group.offsets[self.first] + self.skip

    @property
    def is_partial(self) -> bool:
        """Whether it is a part of one call that was split."""
        return self.rows < self.group.rows[self.first] and self.end - self.first == 1

    @property
    def answered(self) -> int:
        """Calls that have all their rows once this slice is computed."""
        whole = self.group.rows[self.first]
        if self.is_partial and self.skip + self.rows < whole:
            return 0
        return self.end - self.first


class CallGroup:
    """Calls that one event-loop turn of an API worker sent and that may share a batch.

    Their deadlines are about the same. To queue them as one makes the cost of
    scheduling one per turn instead of one per request.

    Args:
        frame: As received. The rows of each call, the priority (0 the most urgent) and
            the key are read from it; groups with the same key may share a batch.
        call_key: The decoded key.
        channel: Where the answers go.
        due: Monotonic seconds by which a result is of use.
        max_rows: Largest batch of this key.
        alone: Whether each call is a batch of its own, whole.
        nbytes: Size of the frame.

    Attributes:
        left: Rows that are still queued.
        columns: Array arguments, as views of the frame's payload.
        parts: Results of split calls that are incomplete, by call; None once such a
            call is answered.
        split_values: Arguments of split calls, read once for all their slices.
            The scheduler never looks at these three, nor at the channel.
    """

    def __init__(
        self,
        *,
        frame: CallsFrame,
        call_key: CallKey,
        channel: Channel,
        due: float,
        max_rows: int,
        alone: bool = False,
        nbytes: int = 0,
    ) -> None:
        self.frame = frame
        self.call_key = call_key
        self.channel = channel
        self.due = due
        self.max_rows = max_rows
        self.alone = alone
        self.nbytes = nbytes
        self.columns: Sequence[Any] = ()
        self.parts: dict[int, list[Any] | None] = {}
        self.split_values: dict[int, Any] = {}
        self.key = frame.key
        self.method = call_key.method
        self.rows = frame.rows
        self.arrived_at = frame.sent_at
        self.priority = frame.priority
        self.offsets = [0, *accumulate(self.rows)]
        self.left = self.offsets[-1]
        self.skip = 0
        self.sequence = 0
        self._cursor = 0
        self._withdrawn: frozenset[int] = frozenset()

    def take(self, most: int) -> list[BatchSlice]:
        """Cut off at most `most` rows, in slices of whole calls.

        A call larger than `max_rows` is cut; any other waits until it fits whole.
        """
        slices: list[BatchSlice] = []
        while most > 0 and self.left:
            one = self._take_run(most)
            if one is None:
                break
            most -= one.rows
            slices.append(one)
            if self.alone:
                break
        return slices

    def _take_run(self, most: int) -> BatchSlice | None:
        """Cut off one run of consecutive calls, or None if the next does not fit."""
        rows = self.next_rows
        first, skip = self._cursor, self.skip
        if rows > most and not self.alone:
            if self.rows[first] <= self.max_rows:
                return None
            self.skip += most
            self.left -= most
            return BatchSlice(self, first, first + 1, skip, most)
        end = first + 1
        if self.left == self.offsets[-1] <= most and not self.alone:
            end, rows = len(self.rows), self.left  # nearly always the whole group
        elif not skip and not self.alone:  # the rest of a split call is a slice itself
            while end < len(self.rows) and end not in self._withdrawn:
                if rows + self.rows[end] > most:
                    break
                rows += self.rows[end]
                end += 1
        self._cursor, self.skip = end, 0
        self.left -= rows
        return BatchSlice(self, first, end, skip, rows)

    def withdraw(self, call: int) -> int:
        """Drop a call that nobody waits for; return its rows that were still here."""
        if call < self._cursor or call >= len(self.rows) or call in self._withdrawn:
            return 0
        rows = self.rows[call] - (self.skip if call == self._cursor else 0)
        self._withdrawn |= {call}
        self.left -= rows
        return rows

    @property
    def next_rows(self) -> int:
        """Rows of the next call that are still here."""
        while self._cursor in self._withdrawn:
            self._cursor, self.skip = self._cursor + 1, 0
        return self.rows[self._cursor] - self.skip

    def remaining_calls(self) -> list[int]:
        """Return the indices of the calls that still have rows here."""
        calls = range(self._cursor, len(self.rows))
        return [call for call in calls if call not in self._withdrawn]


class SubQueue:
    """Groups of one key and class, the latest due first.

    A new group is nearly always the latest due: it is inserted at the front, and the
    next to go is popped from the back.
    """

    __slots__ = ("groups", "key", "priority", "rows")

    def __init__(self, *, key: bytes, priority: int) -> None:
        self.key = key
        self.priority = priority
        self.groups: list[CallGroup] = []
        self.rows = 0

    @property
    def head(self) -> CallGroup:
        """The group that is due first."""
        return self.groups[-1]

    def rows_due_by(self, due: float) -> int:
        """Estimate the rows that go before a group with that due time.

        The place in the order is exact; groups are assumed to be of about one size.
        """
        groups = self.groups
        if groups[0].due <= due:
            return self.rows
        later = bisect.bisect_left(groups, -due, key=_descending)
        return self.rows * (len(groups) - later) // len(groups)


def _descending(group: CallGroup) -> float:
    return -group.due


class Queue:
    """Everything that waits for a runner."""

    def __init__(self) -> None:
        self._sub_queues: dict[tuple[int, bytes], SubQueue] = {}
        self._passed: dict[int, int] = {}
        """Batches of more urgent classes since the last turn of a class."""
        self._sequence = 0
        self.rows = 0
        self.nbytes = 0

    @property
    def is_mixed(self) -> bool:
        """Whether calls of several classes wait."""
        return len({one.priority for one in self._sub_queues.values()}) > 1

    def is_all_of(self, method: str) -> bool:
        """Return whether no calls of other methods wait."""
        return all(one.head.method == method for one in self._sub_queues.values())

    def push(self, group: CallGroup) -> None:
        """Add a group; groups due at the same time stay in order of arrival."""
        self._sequence += 1
        group.sequence = self._sequence
        one = self._sub_queues.get((group.priority, group.key))
        if one is None:
            one = SubQueue(key=group.key, priority=group.priority)
            self._sub_queues[one.priority, one.key] = one
        at = bisect.bisect_left(one.groups, -group.due, key=_descending)
        one.groups.insert(at, group)
        one.rows += group.left
        self.rows += group.left
        self.nbytes += group.nbytes

    def next(self) -> SubQueue | None:
        """Return the sub-queue whose head goes next."""
        if len(self._sub_queues) == 1:
            return next(iter(self._sub_queues.values()))
        return min(self._sub_queues.values(), key=self._rank, default=None)

    def _rank(self, one: SubQueue) -> tuple[int, float, int]:
        head = one.head
        lifted = self._passed.get(one.priority, 0) // _AGEING_BATCHES
        return (one.priority - lifted, head.due, head.sequence)

    def rows_like(self, one: SubQueue) -> int:
        """Return the rows of any class that may share a batch with a sub-queue's."""
        if len(self._sub_queues) == 1:
            return one.rows
        return sum(other.rows for other in self._sub_queues_like(one))

    def _sub_queues_like(self, one: SubQueue) -> list[SubQueue]:
        """Return the sub-queues of a key, the most urgent first."""
        return sorted(
            (other for other in self._sub_queues.values() if other.key == one.key),
            key=self._rank,
        )

    def take(self, one: SubQueue, most: int) -> list[BatchSlice]:
        """Take at most `most` rows: one sub-queue's, then others of its key."""
        if len(self._sub_queues) == 1:
            self._passed.clear()
            return self._take_from(one, most)
        slices: list[BatchSlice] = []
        for other in self._sub_queues_like(one):
            taken = self._take_from(other, most)
            most -= sum(part.rows for part in taken)
            slices += taken
            if most <= 0 or other.groups or taken[-1].group.alone:
                break
        # The classes that wait age while a batch of more urgent ones goes.
        served = {part.group.priority for part in slices}
        waiting = {one.priority for one in self._sub_queues.values()} - served
        most_urgent = min(served)
        self._passed = {
            priority: self._passed.get(priority, 0) + (priority > most_urgent)
            for priority in waiting
        }
        return slices

    def _take_from(self, one: SubQueue, most: int) -> list[BatchSlice]:
        """Take at most `most` rows from a sub-queue, the earliest due first."""
        slices: list[BatchSlice] = []
        while most > 0 and one.groups:
            group = one.head
            before = group.left
            slices += group.take(most)
            taken = before - group.left
            most -= taken
            one.rows -= taken
            self.rows -= taken
            if group.left:
                break
            self.remove(one, group)
            if group.alone:
                break
        return slices

    def ahead(
        self, priority: int, due: float, worth: Callable[[CallGroup], float] | None
    ) -> tuple[int, int, int]:
        """Return what goes before a group of that class and due time.

        Args:
            priority: Its class.
            due: When it is due.
            worth: Weight of a row of a sub-queue, by its head; None for 1.

        Returns:
            Rows before it; those of its own class; batches from one turn of its class
            to the next while more urgent classes wait.
        """
        rows = own_rows = 0
        most_urgent = priority
        for one in self._sub_queues.values():
            weight = 1.0 if worth is None else worth(one.head)
            if one.priority < priority:
                rows += round(one.rows * weight)
                most_urgent = min(most_urgent, one.priority)
            elif one.priority == priority:
                own_rows += round(one.rows_due_by(due) * weight)
        turn = _AGEING_BATCHES * (priority - most_urgent + 1)
        return rows + own_rows, own_rows, turn

    def first_due(self) -> float:
        """Return the earliest due time of all; infinite if nothing is due."""
        heads = (one.head.due for one in self._sub_queues.values())
        return min(heads, default=math.inf)

    def expire(self, now: float) -> Iterator[CallGroup]:
        """Take out the groups whose due time has passed."""
        for one in list(self._sub_queues.values()):
            while one.groups and one.head.due <= now:
                yield self.remove(one, one.head)

    def evict(self, priority: int) -> CallGroup | None:
        """Take out the group that would go last, if less urgent than `priority`."""
        one = max(
            self._sub_queues.values(),
            key=lambda one: (one.priority, one.groups[0].due),
            default=None,
        )
        if one is None or one.priority <= priority:
            return None
        return self.remove(one, one.groups[0])

    def withdraw(self, group: CallGroup, call: int) -> int:
        """Drop a call that nobody waits for; return its rows that were still here."""
        one = self._sub_queues.get((group.priority, group.key))
        if one is None or not group.left:
            return 0
        rows = group.withdraw(call)
        one.rows -= rows
        self.rows -= rows
        if rows and not group.left:
            self.remove(one, group)
        return rows

    def remove(self, one: SubQueue, group: CallGroup) -> CallGroup:
        """Take out a group and what is left of it."""
        groups = one.groups
        if group is groups[-1]:
            groups.pop()
        else:
            at = bisect.bisect_left(groups, -group.due, key=_descending)
            del groups[groups.index(group, at)]
        one.rows -= group.left
        self.rows -= group.left
        self.nbytes -= group.nbytes
        group.left = 0
        if not groups:
            del self._sub_queues[one.priority, one.key]
        return group
