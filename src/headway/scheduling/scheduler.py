"""The scheduler of one runner: state and `now` in, a decision out.

runner/dispatcher calls `arrive` for each group of calls, `schedule` until it gets no
more decisions, and `update` at the end of each batch; so does the simulator. The
scheduler reads no clock, never sleeps and knows no socket.
"""

import math
from collections import defaultdict
from functools import partial

import msgspec

from headway.config.schema import BatchingConfig
from headway.ipc.records import SIMILAR_BUDGETS
from headway.scheduling.arrivals import (
    GatherWindow,
    OfferedLoad,
    OverloadDetector,
    ReplicaStagger,
)
from headway.scheduling.cost_model import CostModel, rows_in_time, rows_worthwhile
from headway.scheduling.queue import BatchSlice, CallGroup, Queue

_TRUST_S = 1.0
"""Maximum age of the last observation for which a prediction may reject a request."""


class Dispatch:
    """Run these rows now, as one batch; call `update` with its number at its end."""

    __slots__ = ("ends_at", "number", "rows", "slices")

    def __init__(
        self, slices: list[BatchSlice], rows: int, number: int, ends_at: float
    ) -> None:
        self.slices = slices
        self.rows = rows
        self.number = number
        self.ends_at = ends_at


class Wait(msgspec.Struct, frozen=True):
    """Call `schedule` again at `until`, or after the next event."""

    until: float


class Rejection(msgspec.Struct, frozen=True):
    """Answer these groups with an error; they are not queued any more."""

    groups: list[CallGroup]
    reason: str
    """On arrival: deadline_passed, predicted_late or queue_full. From the queue:
    late (the due time passed or cannot be met), or evicted by more urgent calls."""
    retry_after_s: float
    """Seconds after which a retry has a chance."""


class Scheduler:
    """Decides what the replicas of a runner do next.

    Args:
        config: Bounds of the queue and of the gather window.
        replicas: Replicas that are up; the dispatcher keeps it current.
    """

    def __init__(self, *, config: BatchingConfig, replicas: int = 1) -> None:
        self.replicas = replicas
        self.queue = Queue()
        self._config = config
        wait_ms = config.max_wait_ms
        self._max_wait_s = None if wait_ms is None else wait_ms / 1000
        # By method, as only its calls share a batch.
        self._costs: defaultdict[str, CostModel] = defaultdict(CostModel)
        self._windows: defaultdict[str, GatherWindow] = defaultdict(
            partial(GatherWindow, max_wait_s=self._max_wait_s)
        )
        self._offered = OfferedLoad()
        self._overload = OverloadDetector()
        self._stagger = ReplicaStagger()
        self._evicted: list[CallGroup] = []
        self._running: dict[int, Dispatch] = {}
        """Batches that were dispatched and not updated yet, by number."""
        self._number = 0

    def cost(self, method: str) -> CostModel:
        """Return the cost model of a method, to seed it or to publish it."""
        return self._costs[method]

    def arrive(self, group: CallGroup, now: float) -> Rejection | None:
        """Queue a group, or reject it; the dispatcher calls it for each group.

        A group may evict less urgent ones: call `schedule` afterwards in any case.
        """
        is_blocked = len(self._running) >= self.replicas
        cost = self.cost(group.method)
        if cost.knows:
            self._offered.add(group.left / cost.peak_rate(_size(group)), now)
        rejection = self._reject(group, cost, now)
        if rejection is None:
            self.queue.push(group)
            self._windows[group.method].arrived(
                calls=len(group.rows),
                rows=group.left,
                at=group.arrived_at,
                seen_at=None if is_blocked else now,
            )
        return rejection

    def _reject(
        self, group: CallGroup, cost: CostModel, now: float
    ) -> Rejection | None:
        if group.due <= now:
            return Rejection([group], "deadline_passed", 0.0)
        answer_s, budget_s = self._answer_s(group, cost, now), group.due - now
        # Even if nothing is rejected: after a pause, the first call meets no queue.
        self._overload.observe(answer_s, budget_s, now)
        late = answer_s - budget_s
        if late > 0 and self._trusts(cost, now):
            return Rejection([group], "predicted_late", late)
        if not self._make_room(group):
            return Rejection([group], "queue_full", self._queue_delay_s(now))
        return None

    def _make_room(self, group: CallGroup) -> bool:
        """Return whether the queue has room, after evicting less urgent groups.

        An empty queue takes any group.
        """
        queue = self.queue
        rows = self._config.max_queue_rows - group.left
        nbytes = self._config.max_queue_bytes - group.nbytes
        while queue.rows and (queue.rows > rows or queue.nbytes > nbytes):
            fits = rows >= 0 and nbytes >= 0
            evicted = queue.evict(group.priority) if fits else None
            if evicted is None:
                return False
            self._evicted.append(evicted)
        return True

    def _answer_s(self, group: CallGroup, cost: CostModel, now: float) -> float:
        """Return the seconds until the first batch with a group's rows is done."""
        size = _size(group)
        least = size if group.alone else min(group.next_rows, group.max_rows)
        if not self.queue.rows:
            return self._after_s((0, 0, 1), least, size, cost, now)

        def worth(other: CallGroup) -> float:
            theirs = self.cost(other.method)
            if theirs is cost or not (cost.knows and theirs.knows):
                return 1.0
            return cost.peak_rate(size) / theirs.peak_rate(_size(other))

        ahead = self.queue.ahead(group.priority, group.due, worth)
        return self._after_s(ahead, least, size, cost, now)

    def _after_s(
        self,
        ahead: tuple[int, int, int],
        least: int,
        size: int,
        cost: CostModel,
        now: float,
    ) -> float:
        """Return the seconds until a call behind others is answered.

        Args:
            ahead: Rows ahead, as the queue counts them.
            least: Rows of the call, as far as they go into one batch.
            size: Rows of a full batch.
            cost: S(n).
            now: Monotonic seconds.
        """
        rows, own_rows, turn_batches = ahead
        # Calls that go alone are assumed to be like this one.
        batches = min(rows // size, turn_batches * (own_rows // size + 1))
        start_s = 0.0
        if self._running and len(self._running) >= self.replicas:
            start_s = max(self._next_end() - now, 0.0)
        full_s = batches * cost.mean(size) / max(self.replicas, 1)
        full_s *= self._overload.factor
        last = size if batches else min(rows + least, size)
        return start_s + full_s + cost.mean(last)

    def _next_end(self) -> float:
        """Return when the first running batch should end; infinite without any."""
        ends = [batch.ends_at for batch in self._running.values()]
        return min(ends, default=math.inf)

    def _queue_delay_s(self, now: float) -> float:
        """Estimate the seconds until a row that arrives now is answered.

        It is 0, unknown, while several classes wait: it depends on the row's own.
        """
        first = self.queue.next()
        if first is None or self.queue.is_mixed:
            return 0.0
        rows, size = self.queue.rows, _size(first.head)
        cost = self.cost(first.head.method)
        return self._after_s((rows, rows, 1), 1, size, cost, now)

    def schedule(self, now: float) -> Dispatch | Wait | Rejection | None:
        """Return what to do now; None if nothing until the next event.

        The dispatcher calls it after events, and again after each Dispatch or
        Rejection. A Dispatch occupies a replica until `update` gets its number.
        """
        if self._evicted:
            evicted, self._evicted = self._evicted, []
            return Rejection(evicted, "evicted", self._queue_delay_s(now))
        late = list(self.queue.expire(now))
        if late:
            return Rejection(late, "late", self._queue_delay_s(now))
        first = self.queue.next()
        if first is None:
            return None
        idle = self.replicas - len(self._running)
        if idle <= 0:
            due = self.queue.first_due()
            return None if due == math.inf else Wait(due)
        head = first.head
        cost = self.cost(head.method)
        waiting = head.max_rows if head.alone else self.queue.rows_like(first)
        if head.alone:
            rows = head.next_rows
            if now + cost.mean(rows) > head.due and self._trusts(cost, now):
                rows = 0
        else:
            rows = self._rows(head, waiting, idle, cost, now)
        if not rows:
            dropped = self.queue.remove(first, head)
            return Rejection([dropped], "late", self._queue_delay_s(now))
        if waiting < head.max_rows:
            until = self._gather(head, waiting, idle, cost, now)
            if until > now:
                return Wait(until)
        slices = self.queue.take(first, rows)
        rows = sum([part.rows for part in slices])
        self._number += 1
        batch = Dispatch(slices, rows, self._number, now + cost.mean(rows))
        self._running[batch.number] = batch
        return batch

    def _rows(
        self, head: CallGroup, waiting: int, idle: int, cost: CostModel, now: float
    ) -> int:
        """Return the rows of the next batch; 0 if its first call cannot be in time."""
        least = min(head.next_rows, head.max_rows)
        load = min(self._offered.load(now) / self.replicas, 1.0)
        rows = max(rows_worthwhile(waiting, head.max_rows, idle, load, cost), least)
        if not self._trusts(cost, now):
            return rows
        return rows_in_time(rows, least, head.due - now, load, head.max_rows, cost)

    def _trusts(self, cost: CostModel, now: float) -> bool:
        """Return whether a prediction may reject a request."""
        return now - cost.learned_at <= _TRUST_S

    def _gather(
        self, head: CallGroup, waiting: int, idle: int, cost: CostModel, now: float
    ) -> float:
        """Return until when to wait for more rows; `now` to dispatch at once."""
        until: float | None = None
        if idle == 1:
            start_s = max(min(cost.mean(waiting), self._next_end() - now), 0.0)
            room = head.max_rows - waiting
            window = self._windows[head.method]
            until = window.wait_until(waiting, room, start_s, cost, now)
        if self.replicas > 1:
            until = max(until or now, self._staggered(head, waiting, cost, now))
        if until is None or until <= now:
            return now
        latest = head.due - cost.tail(head.max_rows)
        return until if until <= latest else now

    def _staggered(
        self, head: CallGroup, waiting: int, cost: CostModel, now: float
    ) -> float:
        """Return until when to wait so that the replicas do not start together."""
        if not cost.knows or self.queue.rows > waiting:
            return now  # rows that cannot share the batch would wait for nothing
        until = self._stagger.wait_until(
            waiting=waiting,
            cap=head.max_rows,
            oldest_at=head.arrived_at,
            rows_per_s=self._offered.load(now) * cost.peak_rate(head.max_rows),
            replicas=self.replicas,
            cost=cost,
            now=now,
        )
        if until is None:
            return now
        most_s = self._max_wait_s
        return until if most_s is None else min(until, head.arrived_at + most_s)

    def update(
        self, number: int, took_s: float | None, now: float
    ) -> tuple[float, float]:
        """Learn from a batch that ended; the dispatcher calls it once for each.

        Args:
            number: Of its Dispatch.
            took_s: Seconds that the model took; None if a call failed or the replica
                was lost, to learn nothing.
            now: Monotonic seconds.

        Returns:
            What its answers say about the queue: the seconds after which a call like
            these would be answered if it came now, and the seconds that each row ahead
            of it adds.
        """
        batch = self._running.pop(number)
        group = batch.slices[0].group
        cost = self.cost(group.method)
        if took_s is not None:
            cost.observe(batch.rows, took_s, now)
        answered = sum([part.answered for part in batch.slices])
        self._windows[group.method].completed(answered, now)
        size = batch.slices[0].rows if group.alone else group.max_rows
        row_s = 0.0
        if cost.knows:
            rows_per_s = cost.peak_rate(size) * max(self.replicas, 1)
            row_s = self._overload.factor / rows_per_s
        return self._next_s(batch.slices, size, cost, now), row_s

    def _next_s(
        self, slices: list[BatchSlice], size: int, cost: CostModel, now: float
    ) -> float:
        """Return the seconds until a call like those of a batch would be answered.

        As urgent as the most urgent call and with the largest time budget: calls that
        came late with little time left say less about the queue. It is 0 if nothing is
        ahead, or if calls of other methods wait, which take other times.
        """
        if not self.queue.rows or not self.queue.is_all_of(slices[0].group.method):
            return 0.0
        budget_s = max([part.group.due - part.group.arrived_at for part in slices])
        priority = min([part.group.priority for part in slices])
        ahead = self.queue.ahead(priority, now + SIMILAR_BUDGETS * budget_s, None)
        return self._after_s(ahead, 1, size, cost, now) if ahead[0] else 0.0


def _size(group: CallGroup) -> int:
    """Return the rows of a full batch of calls like its next one."""
    return group.next_rows if group.alone else group.max_rows
