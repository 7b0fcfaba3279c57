"""The scheduler of one runner: state and `now` in, a decision out.

runner/dispatcher tells it what arrived, finished and was cancelled, and asks it what to
do; so does the simulator. It reads no clock, sleeps nowhere and knows no socket.
"""

import math

import msgspec

from headway.batching.cohort import Cohort, Piece
from headway.batching.cost_model import CostModel
from headway.batching.gather import GatherWindow
from headway.batching.queue import Lane, Queue

__all__ = ["Dispatch", "Late", "Refusal", "Scheduler", "SchedulerLimits", "Wait"]

_TRUST_S = 1.0
"""Age of the last observation up to which a prediction may refuse a request."""


class SchedulerLimits(msgspec.Struct, frozen=True):
    """Bounds that the configuration sets."""

    max_queue_rows: int = 100_000
    max_queue_bytes: int = 2**30
    max_wait_s: float | None = None
    """Upper bound of the gather window: None for automatic, 0 for never."""
    ageing_s: float = 0.5
    """Waiting that lifts a request by one priority class."""


class Dispatch(msgspec.Struct, frozen=True):
    """Run these rows now, as one batch."""

    pieces: list[Piece]
    rows: int


class Wait(msgspec.Struct, frozen=True):
    """Ask again at `until`, or when something happens before."""

    until: float


class Late(msgspec.Struct, frozen=True):
    """Answer these cohorts that their time has passed, or cannot be met."""

    cohorts: list[Cohort]


class Refusal(msgspec.Struct, frozen=True):
    """Why a cohort is not taken, and when a retry has a chance."""

    reason: str
    """One of queue_full, deadline_passed, predicted_late."""
    retry_after_s: float


class Scheduler:
    """Decides what a runner's replicas do next.

    Args:
        limits: Bounds of the queue and of the gather window.
        replicas: Replicas that are up; the dispatcher keeps it current.
    """

    __slots__ = ("_busy", "_costs", "_windows", "limits", "queue", "replicas")

    def __init__(self, *, limits: SchedulerLimits, replicas: int = 1) -> None:
        self.limits = limits
        self.replicas = replicas
        self.queue = Queue(ageing_s=limits.ageing_s)
        self._windows: dict[str, GatherWindow] = {}
        self._costs: dict[str, CostModel] = {}
        self._busy: dict[int, float] = {}

    def cost(self, method: str) -> CostModel:
        """Return the cost model of a method."""
        model = self._costs.get(method)
        if model is None:
            model = self._costs[method] = CostModel()
        return model

    def _window(self, method: str) -> GatherWindow:
        """Return the gather window of a method, as only its calls share a batch."""
        window = self._windows.get(method)
        if window is None:
            window = GatherWindow(max_wait_s=self.limits.max_wait_s)
            self._windows[method] = window
        return window

    def arrive(self, cohort: Cohort, now: float) -> Refusal | None:
        """Queue a cohort, or refuse it at once."""
        refusal = self._refuse(cohort, now)
        if refusal is None:
            self.queue.push(cohort)
            self._window(cohort.method).arrived(
                len(cohort.rows), cohort.left, cohort.arrived_at
            )
        return refusal

    def _refuse(self, cohort: Cohort, now: float) -> Refusal | None:
        if cohort.due <= now:
            return Refusal("deadline_passed", 0.0)
        limits, queue = self.limits, self.queue
        if (
            queue.rows + cohort.left > limits.max_queue_rows
            or queue.nbytes + cohort.nbytes > limits.max_queue_bytes
        ) and queue.rows:
            return Refusal("queue_full", self.backlog_s(now))
        cost = self.cost(cohort.method)
        if now - cost.learned_at > _TRUST_S:
            return None
        wait = self._wait_s(queue.rows_ahead(cohort.priority, cohort.due), cohort, now)
        late = now + wait + cost.mean(_least_rows(cohort)) - cohort.due
        return Refusal("predicted_late", late) if late > 0 else None

    def _wait_s(self, rows_ahead: int, cohort: Cohort, now: float) -> float:
        """Return the seconds until a batch with the cohort's first row starts."""
        if not rows_ahead and len(self._busy) < self.replicas:
            return 0.0
        cost = self.cost(cohort.method)
        # Of those that go alone, the others are taken to be like this one.
        size = cohort.next_rows if cohort.alone else cohort.max_rows
        batches = rows_ahead // size
        first_free = self._first_free_s(now)
        return first_free + batches * cost.mean(size) / max(self.replicas, 1)

    def _first_free_s(self, now: float) -> float:
        if len(self._busy) < self.replicas or not self._busy:
            return 0.0
        return max(min(self._busy.values()) - now, 0.0)

    def backlog_s(self, now: float) -> float:
        """Return the seconds that a row arriving now would wait, at a guess."""
        lane = self.queue.next_lane(now)
        if lane is None:
            return self._first_free_s(now)
        return self._wait_s(self.queue.rows, lane.head, now)

    def decide(self, now: float) -> Dispatch | Wait | Late | None:
        """Return what to do now; None while there is nothing to do.

        While nobody is idle, that is to wait until something is due.

        After a Dispatch or Late, ask again.
        """
        late = list(self.queue.expire(now))
        if late:
            return Late(late)
        idle = self.replicas - len(self._busy)
        lane = self.queue.next_lane(now)
        if lane is None:
            return None
        if idle <= 0:
            due = self.queue.first_due()
            return None if due == math.inf else Wait(due)
        head = lane.head
        cost = self.cost(head.method)
        if self._cannot_meet(head, cost, now):
            return Late([self.queue.drop(lane)])
        most = _most_rows(head, cost, now)
        if idle == 1 and not head.alone and lane.rows < most:
            until = self._gather(lane, most, cost, now)
            if until is not None:
                return Wait(until)
        pieces = self.queue.take(lane, most)
        return Dispatch(pieces, sum(piece.rows for piece in pieces))

    def _cannot_meet(self, head: Cohort, cost: CostModel, now: float) -> bool:
        if now - cost.learned_at > _TRUST_S:
            return False
        return now + cost.mean(_least_rows(head)) > head.due

    def _gather(
        self, lane: Lane, most: int, cost: CostModel, now: float
    ) -> float | None:
        batch_s = cost.mean(lane.rows)
        others_s = min(self._busy.values(), default=math.inf) - now
        until = self._window(lane.head.method).wait_until(
            waiting=lane.rows,
            room=most - lane.rows,
            start_s=max(min(batch_s, others_s), 0.0),
            cost=cost,
            now=now,
        )
        if until is None:
            return None
        latest = lane.head.due - cost.tail(most)
        return until if until <= latest else None

    def started(self, batch: int, method: str, rows: int, now: float) -> None:
        """Note that a replica is busy with a batch of that number."""
        self._busy[batch] = now + self.cost(method).mean(rows)

    def finished(
        self,
        batch: int,
        method: str,
        rows: int,
        answered: int,
        took_s: float | None,
        now: float,
    ) -> None:
        """Note that a batch is done.

        Args:
            batch: As given to `started`.
            method: What ran.
            rows: Rows of the batch.
            answered: Calls that have their answer now.
            took_s: Seconds that the model took; None if it failed, to learn nothing.
            now: Monotonic seconds.
        """
        self._busy.pop(batch, None)
        if took_s is not None:
            self.cost(method).observe(rows, took_s, now)
        self._window(method).completed(answered, now)


def _least_rows(cohort: Cohort) -> int:
    """Return the rows of the smallest batch that its next call can go in."""
    return cohort.next_rows if cohort.alone else min(cohort.next_rows, cohort.max_rows)


def _most_rows(head: Cohort, cost: CostModel, now: float) -> int:
    """Return the largest n such that now + S(n) keeps the earliest deadline."""
    slack = head.due - now
    if not cost.knows or cost.tail(head.max_rows) <= slack:
        return head.max_rows
    # The head goes whatever its slack: a tail is no certainty.
    low, high = min(head.next_rows, head.max_rows), head.max_rows
    while low < high:
        middle = (low + high + 1) // 2
        if cost.tail(middle) <= slack:
            low = middle
        else:
            high = middle - 1
    return low
