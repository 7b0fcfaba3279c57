"""Headway itself: the scheduler that serves, behind the simulator's interface."""

from collections.abc import Callable, Iterator

from benchmarks.simulation.policy import Drop
from benchmarks.simulation.request import Batch, Request
from headway.scheduling.call_group import CallGroup
from headway.scheduling.scheduler import (
    Dispatch,
    Evict,
    Late,
    Scheduler,
    SchedulerLimits,
    Wait,
)

__all__ = ["Production"]

_METHOD = "predict"
_KEY = _METHOD.encode()


class Production:
    """The production scheduler; each request is a group of its own.

    Args:
        max_rows: Rows in a batch at the most.
        replicas: Batches at a time.
        seconds_of: Mean seconds of a batch by its rows, which warm-up would measure.
        limits: Of the scheduler.
    """

    __slots__ = ("_max_rows", "_number", "scheduler")

    def __init__(
        self,
        *,
        max_rows: int,
        replicas: int,
        seconds_of: Callable[[int], float],
        limits: SchedulerLimits | None = None,
    ) -> None:
        self.scheduler = Scheduler(
            limits=limits or SchedulerLimits(), replicas=replicas
        )
        self._max_rows = max_rows
        self._number = 0
        for rows in _warm_up_sizes(max_rows):
            self.scheduler.cost(_METHOD).observe(rows, seconds_of(rows), 0.0)

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the scheduler refuses it."""
        group = CallGroup(
            key=_KEY,
            method=_METHOD,
            rows=(request.rows,),
            due=request.due,
            arrived_at=now,
            max_rows=self._max_rows,
            priority=request.priority,
            load=request,
        )
        return self.scheduler.arrive(group, now) is None

    def decide(self, now: float) -> Batch | Drop | Wait | None:
        """Return the scheduler's decision."""
        decision = self.scheduler.decide(now)
        if isinstance(decision, Dispatch):
            self._number += 1
            requests = [piece.group.load for piece in decision.pieces]
            return Batch(requests, decision.rows, self._number)
        if isinstance(decision, Late | Evict):
            return Drop([group.load for group in decision.groups])
        return decision

    def started(self, batch: Batch, now: float) -> None:
        """Tell the scheduler."""
        self.scheduler.started(batch.load, _METHOD, batch.rows, now)

    def finished(self, batch: Batch, took_s: float, now: float) -> None:
        """Tell the scheduler."""
        self.scheduler.finished(
            batch.load, _METHOD, batch.rows, len(batch.requests), took_s, now
        )


def _warm_up_sizes(largest: int) -> Iterator[int]:
    """Yield the sizes that runner/warmup.py runs before the first request."""
    rows = 1
    while rows < largest:
        yield rows
        rows *= 2
    yield largest
