"""The one queue of a runner: earliest due first inside priority classes, with ageing.

A class ages by the batches that pass it over, not by the clock: whatever the model's
speed and the deadlines, each class gets its turn, the less often the less urgent it is.
The scheduler pushes, takes and expires; nothing else touches it.
"""

import bisect
import math
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from headway.scheduling.call_group import BatchSlice, CallGroup

__all__ = ["Ahead", "Queue", "SubQueue"]

_AGEING_BATCHES: Final = 8
"""Batches of more urgent classes that lift a waiting class by one."""


class SubQueue:
    """Cohorts of one key and class, the latest due first.

    Arrivals are nearly always the latest due, so that one is inserted at the front and
    the next to go is popped from the back.
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

    def insert(self, group: CallGroup) -> None:
        """Put a group in its place; equal ones stay in order of arrival."""
        at = bisect.bisect_left(self.groups, -group.due, key=_descending)
        self.groups.insert(at, group)
        self.rows += group.left

    def remove(self, group: CallGroup) -> None:
        """Take out a group."""
        if group is self.groups[-1]:
            self.groups.pop()
            return
        at = bisect.bisect_left(self.groups, -group.due, key=_descending)
        del self.groups[self.groups.index(group, at)]

    def rows_due_by(self, due: float) -> int:
        """Return the rows that go before one with that due time, at a guess.

        The place in the order is exact; groups are taken to be of about one size.
        """
        groups = self.groups
        if groups[0].due <= due:
            return self.rows
        later = bisect.bisect_left(groups, -due, key=_descending)
        return self.rows * (len(groups) - later) // len(groups)


def _descending(group: CallGroup) -> float:
    return -group.due


def _one(_: CallGroup) -> float:
    return 1.0


class Ahead(msgspec.Struct, frozen=True):
    """What goes before a group."""

    rows: int
    """Rows of more urgent classes, and earlier ones of its own."""
    own_rows: int
    """Those of its own class."""
    turn_batches: int
    """Batches from one turn of its class to the next while more urgent ones wait."""


class Queue:
    """Everything that waits for a runner."""

    __slots__ = ("_lanes", "_passed", "_sequence", "nbytes", "rows")

    def __init__(self) -> None:
        self._lanes: dict[tuple[int, bytes], SubQueue] = {}
        self._passed: dict[int, int] = {}
        """Batches of more urgent classes since a class had its last turn."""
        self._sequence = 0
        self.rows = 0
        self.nbytes = 0

    @property
    def is_mixed(self) -> bool:
        """Whether calls of several classes wait."""
        return len({lane.priority for lane in self._lanes.values()}) > 1

    def is_all_of(self, method: str) -> bool:
        """Return whether no calls of other methods wait."""
        return all(lane.head.method == method for lane in self._lanes.values())

    def push(self, group: CallGroup) -> None:
        """Add a group."""
        self._sequence += 1
        group.sequence = self._sequence
        place = (group.priority, group.key)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = SubQueue(key=group.key, priority=group.priority)
        lane.insert(group)
        self.rows += group.left
        self.nbytes += group.nbytes

    def next_lane(self) -> SubQueue | None:
        """Return the lane whose head goes next."""
        if len(self._lanes) == 1:
            return next(iter(self._lanes.values()))
        return min(self._lanes.values(), key=self._rank, default=None)

    def _rank(self, lane: SubQueue) -> tuple[int, float, int]:
        head = lane.head
        lifted = self._passed.get(lane.priority, 0) // _AGEING_BATCHES
        return (lane.priority - lifted, head.due, head.sequence)

    def rows_like(self, lane: SubQueue) -> int:
        """Return the rows that may share a batch with a lane's, of whatever class."""
        if len(self._lanes) == 1:
            return lane.rows
        return sum(other.rows for other in self._lanes_like(lane))

    def _lanes_like(self, lane: SubQueue) -> list[SubQueue]:
        """Return the lanes of a key, the most urgent first."""
        return sorted(
            (other for other in self._lanes.values() if other.key == lane.key),
            key=self._rank,
        )

    def take(self, lane: SubQueue, most: int) -> list[BatchSlice]:
        """Take at most `most` rows: a lane's, then others that may share its batch."""
        if len(self._lanes) == 1:
            self._passed.clear()
            return self._take_from(lane, most)
        pieces: list[BatchSlice] = []
        for other in self._lanes_like(lane):
            taken = self._take_from(other, most)
            most -= sum(piece.rows for piece in taken)
            pieces += taken
            if most <= 0 or other.groups or taken[-1].group.alone:
                break
        self._count_turn({piece.group.priority for piece in pieces})
        return pieces

    def _take_from(self, lane: SubQueue, most: int) -> list[BatchSlice]:
        """Take at most `most` rows from a lane, the earliest due first."""
        pieces: list[BatchSlice] = []
        while most > 0 and lane.groups:
            group = lane.head
            before = group.left
            pieces.extend(group.take(most))
            taken = before - group.left
            most -= taken
            lane.rows -= taken
            self.rows -= taken
            if group.left:
                break
            self._remove(lane, group)
            if group.alone:
                break
        return pieces

    def _count_turn(self, served: set[int]) -> None:
        """Age the classes that wait while a batch of more urgent ones goes."""
        most_urgent = min(served)
        self._passed = {
            priority: self._passed.get(priority, 0) + (priority > most_urgent)
            for priority in {lane.priority for lane in self._lanes.values()} - served
        }

    def ahead(
        self, priority: int, due: float, worth: Callable[[CallGroup], float] = _one
    ) -> Ahead:
        """Return what goes before a group of that class and due time.

        Args:
            priority: Its class.
            due: When it is due.
            worth: As how many of its rows each of a lane counts, by the lane's head.
        """
        rows = own_rows = 0
        most_urgent = priority
        for lane in self._lanes.values():
            if lane.priority < priority:
                rows += round(lane.rows * worth(lane.head))
                most_urgent = min(most_urgent, lane.priority)
            elif lane.priority == priority:
                own_rows += round(lane.rows_due_by(due) * worth(lane.head))
        return Ahead(
            rows=rows + own_rows,
            own_rows=own_rows,
            turn_batches=_AGEING_BATCHES * (priority - most_urgent + 1),
        )

    def first_due(self) -> float:
        """Return the earliest due time of all; infinite if nothing is due."""
        return min((lane.head.due for lane in self._lanes.values()), default=math.inf)

    def expire(self, now: float) -> Iterator[CallGroup]:
        """Take out the groups that are due already."""
        for lane in list(self._lanes.values()):
            while lane.groups and lane.head.due <= now:
                yield self._remove(lane, lane.head)

    def evict(self, priority: int) -> CallGroup | None:
        """Take out the group that would go last, if it is less urgent than that."""
        lane = max(
            self._lanes.values(),
            key=lambda lane: (lane.priority, lane.groups[0].due),
            default=None,
        )
        if lane is None or lane.priority <= priority:
            return None
        return self._remove(lane, lane.groups[0])

    def drop(self, lane: SubQueue) -> CallGroup:
        """Take out a lane's head unserved."""
        return self._remove(lane, lane.head)

    def withdraw(self, group: CallGroup, call: int) -> int:
        """Drop a call that nobody waits for; return its rows that were still here."""
        lane = self._lanes.get((group.priority, group.key))
        if lane is None or not group.left:
            return 0
        rows = group.withdraw(call)
        lane.rows -= rows
        self.rows -= rows
        if rows and not group.left:
            self._remove(lane, group)
        return rows

    def _remove(self, lane: SubQueue, group: CallGroup) -> CallGroup:
        """Take out a group and what is left of it."""
        lane.remove(group)
        lane.rows -= group.left
        self.rows -= group.left
        self.nbytes -= group.nbytes
        group.left = 0
        if not lane.groups:
            del self._lanes[lane.priority, lane.key]
        return group
