"""The scheduler of one runner: state and `now` in, a decision out.

runner/dispatcher tells it what arrived, finished and was cancelled, and asks it what to
do; so does the simulator. It reads no clock, sleeps nowhere and knows no socket.
"""

import math

import msgspec

from headway.ipc.records import SIMILAR_BUDGETS
from headway.scheduling.batch_size import Supply, rows_in_time, rows_worthwhile
from headway.scheduling.call_group import BatchSlice, CallGroup
from headway.scheduling.cost_model import CostModel
from headway.scheduling.gather_window import GatherWindow, Waiting
from headway.scheduling.offered_load import OfferedLoad
from headway.scheduling.overload_detector import OverloadDetector
from headway.scheduling.queue import Ahead, Queue, SubQueue
from headway.scheduling.replica_stagger import ReplicaStagger

__all__ = [
    "Dispatch",
    "Evict",
    "Late",
    "Refusal",
    "Scheduler",
    "SchedulerLimits",
    "Wait",
]

_TRUST_S = 1.0
"""Age of the last observation up to which a prediction may refuse a request."""


class SchedulerLimits(msgspec.Struct, frozen=True):
    """Bounds that the configuration sets."""

    max_queue_rows: int = 100_000
    max_queue_bytes: int = 2**30
    max_wait_s: float | None = None
    """Upper bound of the gather window: None for automatic, 0 for never."""


class Dispatch(msgspec.Struct, frozen=True):
    """Run these rows now, as one batch."""

    pieces: list[BatchSlice]
    rows: int


class Wait(msgspec.Struct, frozen=True):
    """Ask again at `until`, or when something happens before."""

    until: float


class Late(msgspec.Struct, frozen=True):
    """Answer these groups that their time has passed, or cannot be met."""

    groups: list[CallGroup]


class Evict(msgspec.Struct, frozen=True):
    """Answer these groups that more urgent ones need their place in a full queue."""

    groups: list[CallGroup]


class Refusal(msgspec.Struct, frozen=True):
    """Why a group is not taken, and when a retry has a chance."""

    reason: str
    """One of queue_full, deadline_passed, predicted_late."""
    retry_after_s: float


class Scheduler:
    """Decides what a runner's replicas do next.

    Args:
        limits: Bounds of the queue and of the gather window.
        replicas: Replicas that are up; the dispatcher keeps it current.
    """

    __slots__ = (
        "_busy",
        "_costs",
        "_demand",
        "_evicted",
        "_patience",
        "_spacing",
        "_windows",
        "limits",
        "queue",
        "replicas",
    )

    def __init__(self, *, limits: SchedulerLimits, replicas: int = 1) -> None:
        self.limits = limits
        self.replicas = replicas
        self.queue = Queue()
        self._windows: dict[str, GatherWindow] = {}
        self._costs: dict[str, CostModel] = {}
        self._demand = OfferedLoad()
        self._patience = OverloadDetector()
        self._spacing = ReplicaStagger()
        self._evicted: list[CallGroup] = []
        self._busy: dict[int, float] = {}
        """When each batch that is being computed will be done, by its number."""

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

    def arrive(self, group: CallGroup, now: float) -> Refusal | None:
        """Queue a group, or refuse it at once."""
        is_blocked = len(self._busy) >= self.replicas
        cost = self.cost(group.method)
        if cost.knows:
            self._demand.add(group.left / cost.peak_rate(_size(group)), now)
        refusal = self._refuse(group, now)
        if refusal is None:
            self.queue.push(group)
            self._window(group.method).arrived(
                calls=len(group.rows),
                rows=group.left,
                at=group.arrived_at,
                seen_at=None if is_blocked else now,
            )
        return refusal

    def _refuse(self, group: CallGroup, now: float) -> Refusal | None:
        if group.due <= now:
            return Refusal("deadline_passed", 0.0)
        answer_s, budget_s = self._answer_s(group, now), group.due - now
        # Also if nobody is refused: after a pause, the first meets no backlog.
        self._patience.observe(answer_s, budget_s, now)
        late = answer_s - budget_s
        if late > 0 and self._trusts(self.cost(group.method), now):
            return Refusal("predicted_late", late)
        if not self._make_room(group):
            return Refusal("queue_full", self.backlog_s(now))
        return None

    def _make_room(self, group: CallGroup) -> bool:
        """Return whether the queue takes a group, if need be for less urgent ones.

        An empty queue takes any.
        """
        limits, queue = self.limits, self.queue
        rows = limits.max_queue_rows - group.left
        nbytes = limits.max_queue_bytes - group.nbytes
        while queue.rows and (queue.rows > rows or queue.nbytes > nbytes):
            fits = rows >= 0 and nbytes >= 0
            evicted = queue.evict(group.priority) if fits else None
            if evicted is None:
                return False
            self._evicted.append(evicted)
        return True

    def _answer_s(self, group: CallGroup, now: float) -> float:
        """Return the seconds until the first batch with a group's rows is done."""
        cost = self.cost(group.method)

        def worth(other: CallGroup) -> float:
            theirs = self.cost(other.method)
            if theirs is cost or not (cost.knows and theirs.knows):
                return 1.0
            return cost.peak_rate(_size(group)) / theirs.peak_rate(_size(other))

        ahead = self.queue.ahead(group.priority, group.due, worth)
        return self._after_s(ahead, _least(group), _size(group), cost, now)

    def _after_s(
        self, ahead: Ahead, least: int, size: int, cost: CostModel, now: float
    ) -> float:
        """Return the seconds until `least` rows behind others are answered."""
        # Of those that go alone, the others are taken to be like this one.
        rows = ahead.rows
        batches = min(rows // size, ahead.turn_batches * (ahead.own_rows // size + 1))
        return self._batches_s(batches, rows + least, size, cost, now)

    def _batches_s(
        self, batches: int, rows: int, size: int, cost: CostModel, now: float
    ) -> float:
        """Return the seconds until the last of `rows` is answered.

        Args:
            batches: Full ones that go before.
            rows: In the queue, that one included.
            size: Of a full batch.
            cost: S(n).
            now: Monotonic seconds.
        """
        is_free = len(self._busy) < self.replicas or not self._busy
        start_s = 0.0 if is_free else max(min(self._busy.values()) - now, 0.0)
        full_s = batches * cost.mean(size) / max(self.replicas, 1)
        full_s *= self._patience.factor
        return start_s + full_s + cost.mean(size if batches else min(rows, size))

    def backlog_s(self, now: float) -> float:
        """Return the seconds until a row that arrives now is answered, at a guess.

        With several classes waiting that depends on its own: none is told then.
        """
        lane = self.queue.next_lane()
        if lane is None or self.queue.is_mixed:
            return 0.0
        rows, size = self.queue.rows, _size(lane.head)
        cost = self.cost(lane.head.method)
        return self._batches_s(rows // size, rows + 1, size, cost, now)

    def next_s(self, pieces: list[BatchSlice], now: float) -> float:
        """Return the seconds until a call like those of a batch would be answered.

        That is, if it came now, as urgent as the most urgent of them and with as much
        time as the one with the most: those that reached it late tell less than waits.
        Told is 0 if nothing goes before it, or what waits is of another method, too, as
        that takes other times.
        """
        group = pieces[0].group
        if not self.queue.is_all_of(group.method):
            return 0.0
        budget_s = max(piece.group.due - piece.group.arrived_at for piece in pieces)
        ahead = self.queue.ahead(
            min(piece.group.priority for piece in pieces),
            now + SIMILAR_BUDGETS * budget_s,
        )
        if not ahead.rows:
            return 0.0
        size = pieces[0].rows if group.alone else group.max_rows
        return self._after_s(ahead, 1, size, self.cost(group.method), now)

    def row_s(self, piece: BatchSlice) -> float:
        """Return the seconds that a row like one's adds to the backlog."""
        group = piece.group
        cost = self.cost(group.method)
        if not cost.knows:
            return 0.0
        size = piece.rows if group.alone else group.max_rows
        rows_per_s = cost.peak_rate(size) * max(self.replicas, 1)
        return self._patience.factor / rows_per_s

    def decide(self, now: float) -> Dispatch | Wait | Late | Evict | None:
        """Return what to do now; None while there is nothing to do.

        While nobody is idle, that is to wait until something is due.

        After a Dispatch, Late or Evict, ask again.
        """
        if self._evicted:
            evicted, self._evicted = self._evicted, []
            return Evict(evicted)
        late = list(self.queue.expire(now))
        if late:
            return Late(late)
        lane = self.queue.next_lane()
        if lane is None:
            return None
        idle = self.replicas - len(self._busy)
        if idle <= 0:
            due = self.queue.first_due()
            return None if due == math.inf else Wait(due)
        head = lane.head
        if head.alone:
            rows = self._rows_alone(head, now)
        else:
            rows = self._rows(lane, idle, now)
        if not rows:
            return Late([self.queue.drop(lane)])
        if not head.alone:
            until = self._gather(lane, idle, now)
            if until is not None:
                return Wait(until)
        pieces = self.queue.take(lane, rows)
        return Dispatch(pieces, sum(piece.rows for piece in pieces))

    def _rows_alone(self, head: CallGroup, now: float) -> int:
        """Return the rows of a call that goes alone; 0 if it cannot be in time."""
        cost = self.cost(head.method)
        rows = head.next_rows
        is_late = now + cost.mean(rows) > head.due
        return 0 if is_late and self._trusts(cost, now) else rows

    def _rows(self, lane: SubQueue, idle: int, now: float) -> int:
        """Return the rows of the next batch; 0 if its first call cannot be in time."""
        head = lane.head
        cost = self.cost(head.method)
        least = min(head.next_rows, head.max_rows)
        waiting = self.queue.rows_like(lane)
        load = self._demand.load(now) / self.replicas
        supply = Supply(idle, min(load, 1.0))
        rows = max(rows_worthwhile(waiting, head.max_rows, supply, cost), least)
        if not self._trusts(cost, now):
            return rows
        slack_s = head.due - now
        return rows_in_time(rows, least, slack_s, supply, head.max_rows, cost)

    def _trusts(self, cost: CostModel, now: float) -> bool:
        """Return whether a prediction may refuse somebody."""
        return now - cost.learned_at <= _TRUST_S

    def _gather(self, lane: SubQueue, idle: int, now: float) -> float | None:
        """Return until when to wait for more rows; None to dispatch at once."""
        head = lane.head
        waiting = self.queue.rows_like(lane)
        if waiting >= head.max_rows:
            return None
        until = self._await_returns(head, waiting, now) if idle == 1 else None
        if self.replicas > 1:
            spaced = self._space(head, waiting, now)
            until = max(until or now, spaced or now)
        if until is None or until <= now:
            return None
        latest = head.due - self.cost(head.method).tail(head.max_rows)
        return until if until <= latest else None

    def _await_returns(self, head: CallGroup, waiting: int, now: float) -> float | None:
        """Return until when to wait for those who were just answered."""
        cost = self.cost(head.method)
        others_s = min(self._busy.values(), default=math.inf) - now
        return self._window(head.method).wait_until(
            Waiting(
                rows=waiting,
                room=head.max_rows - waiting,
                start_s=max(min(cost.mean(waiting), others_s), 0.0),
            ),
            cost,
            now,
        )

    def _space(self, head: CallGroup, waiting: int, now: float) -> float | None:
        """Return until when to wait so that the replicas do not start together."""
        cost = self.cost(head.method)
        if not cost.knows or self.queue.rows > waiting:
            return None  # what cannot share the batch would wait for nothing
        until = self._spacing.wait_until(
            waiting=waiting,
            cap=head.max_rows,
            oldest_at=head.arrived_at,
            rows_per_s=self._demand.load(now) * cost.peak_rate(head.max_rows),
            replicas=self.replicas,
            cost=cost,
            now=now,
        )
        most_s = self.limits.max_wait_s
        if until is None or most_s is None:
            return until
        return min(until, head.arrived_at + most_s)

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


def _size(group: CallGroup) -> int:
    """Return the rows of a full batch of calls like its next one."""
    return group.next_rows if group.alone else group.max_rows


def _least(group: CallGroup) -> int:
    """Return the rows of the smallest batch that its next call can go in."""
    return group.next_rows if group.alone else min(group.next_rows, group.max_rows)
