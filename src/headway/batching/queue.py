"""The one queue of a runner: earliest due first inside priority classes, with ageing.

The scheduler pushes, takes and expires; nothing else touches it.
"""

import math
from collections.abc import Iterator

from headway.batching.cohort import Cohort, Piece

__all__ = ["Lane", "Queue"]


class Lane:
    """Cohorts of one key and class, the latest due first.

    Arrivals are nearly always the latest due, so that one is inserted at the front and
    the next to go is popped from the back.
    """

    __slots__ = ("cohorts", "key", "priority", "rows")

    def __init__(self, *, key: bytes, priority: int) -> None:
        self.key = key
        self.priority = priority
        self.cohorts: list[Cohort] = []
        self.rows = 0

    @property
    def head(self) -> Cohort:
        """The cohort that is due first."""
        return self.cohorts[-1]

    def insert(self, cohort: Cohort) -> None:
        """Put a cohort in its place; equal ones stay in order of arrival."""
        at = 0
        while at < len(self.cohorts) and self.cohorts[at].due > cohort.due:
            at += 1
        self.cohorts.insert(at, cohort)
        self.rows += cohort.left

    def rows_due_by(self, due: float) -> int:
        """Return the rows that go before one with that due time."""
        rows = self.rows
        for cohort in self.cohorts:
            if cohort.due <= due:
                break
            rows -= cohort.left
        return rows

    def rank(self, now: float, ageing_s: float) -> tuple[float, float, int]:
        """Return the sort key among lanes: the class, one better for each ageing_s."""
        head = self.head
        aged = self.priority - (now - head.arrived_at) // ageing_s
        return (max(aged, 0.0), head.due, head.sequence)


class Queue:
    """Everything that waits for a runner.

    Args:
        ageing_s: Seconds of waiting that lift a cohort by one priority class.
    """

    __slots__ = ("_ageing_s", "_lanes", "_sequence", "nbytes", "rows")

    def __init__(self, *, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._lanes: dict[tuple[int, bytes], Lane] = {}
        self._sequence = 0
        self.rows = 0
        self.nbytes = 0

    def push(self, cohort: Cohort) -> None:
        """Add a cohort."""
        self._sequence += 1
        cohort.sequence = self._sequence
        place = (cohort.priority, cohort.key)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(key=cohort.key, priority=cohort.priority)
        lane.insert(cohort)
        self.rows += cohort.left
        self.nbytes += cohort.nbytes

    def next_lane(self, now: float) -> Lane | None:
        """Return the lane whose head goes next."""
        if len(self._lanes) == 1:
            return next(iter(self._lanes.values()))
        return min(
            self._lanes.values(),
            key=lambda lane: lane.rank(now, self._ageing_s),
            default=None,
        )

    def take(self, lane: Lane, most: int) -> list[Piece]:
        """Take at most `most` rows from a lane, the earliest due first."""
        pieces: list[Piece] = []
        while most > 0 and lane.cohorts:
            cohort = lane.head
            before = cohort.left
            pieces.extend(cohort.take(most))
            taken = before - cohort.left
            most -= taken
            lane.rows -= taken
            self.rows -= taken
            if cohort.left:
                break
            self._drop_head(lane)
            if cohort.alone:
                break
        return pieces

    def rows_ahead(self, priority: int, due: float) -> int:
        """Return the rows that go before one of that class and due time."""
        return sum(
            lane.rows_due_by(due) if lane.priority == priority else lane.rows
            for lane in self._lanes.values()
            if lane.priority <= priority
        )

    def first_due(self) -> float:
        """Return the earliest due time of all; infinite if nothing is due."""
        return min((lane.head.due for lane in self._lanes.values()), default=math.inf)

    def expire(self, now: float) -> Iterator[Cohort]:
        """Take out the cohorts that are due already."""
        for lane in list(self._lanes.values()):
            while lane.cohorts and lane.head.due <= now:
                cohort = lane.head
                lane.rows -= cohort.left
                self.rows -= cohort.left
                self._drop_head(lane)
                yield cohort

    def drop(self, lane: Lane) -> Cohort:
        """Take out a lane's head unserved."""
        cohort = lane.head
        lane.rows -= cohort.left
        self.rows -= cohort.left
        self._drop_head(lane)
        return cohort

    def withdraw(self, cohort: Cohort, call: int) -> int:
        """Drop a call that nobody waits for; return its rows that were still here."""
        lane = self._lanes.get((cohort.priority, cohort.key))
        if lane is None or not cohort.left:
            return 0
        rows = cohort.withdraw(call)
        lane.rows -= rows
        self.rows -= rows
        if rows and not cohort.left:
            lane.cohorts.remove(cohort)
            self.nbytes -= cohort.nbytes
            if not lane.cohorts:
                del self._lanes[lane.priority, lane.key]
        return rows

    def _drop_head(self, lane: Lane) -> None:
        cohort = lane.cohorts.pop()
        cohort.left = 0
        self.nbytes -= cohort.nbytes
        if not lane.cohorts:
            del self._lanes[lane.priority, lane.key]
