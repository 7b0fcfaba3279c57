"""The event loop of a runner: gives the scheduler's batches to idle replicas.

The receiver hands it groups, executors hand it finished batches; runner/batch answers
them. One turn follows all that one pass over the sockets received.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from headway.core.clock import Clock
from headway.errors import (
    DeadlineExceededError,
    HeadwayError,
    OverloadedError,
    RunnerLostError,
    UnavailableError,
)
from headway.ipc.channel import Channel
from headway.metrics.meters import RunnerMeters
from headway.observability.trace_context import unpack_calls
from headway.observability.tracing import Tracing
from headway.runner.batch import Answers, Batch, Failure, Outcome
from headway.runner.executor import Executor
from headway.runner.precise_timer import PreciseTimer
from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler, Wait

_log = logging.getLogger(__name__)
_ATTEMPTS = 2


class Dispatcher:
    """Connects the receiver, the scheduler and the replicas of one runner.

    Args:
        name: The runner's name.
        scheduler: Decides.
        meters: Counts.
        tracing: Records a span for each batch that has traced calls.
        clock: The scheduler's `now`.
        loop: Runs the turns.
    """

    def __init__(
        self,
        *,
        name: str,
        scheduler: Scheduler,
        meters: RunnerMeters,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        tracing: Tracing | None = None,
    ) -> None:
        self._name = name
        self._scheduler = scheduler
        self._meters = meters
        self._tracing = tracing
        self._clock = clock
        self._loop = loop
        self._timer = PreciseTimer(loop=loop, callback=self._turn)
        self._answers = Answers()
        self._groups: dict[tuple[Channel, int], CallGroup] = {}
        """Groups that have calls in the queue, by channel and id."""
        self._idle: list[Executor] = []
        self._busy: dict[Executor, Batch] = {}
        self._retries: list[Batch] = []
        """Batches of replicas that died; the scheduler counts them as running."""
        self._turn_is_due = False
        self._replicas_changed = asyncio.Event()

    def close(self) -> None:
        """Close the timer."""
        self._timer.close()

    async def wait_replicas(self, count: int) -> None:
        """Return once `count` replicas are up."""
        while self._scheduler.replicas < count:
            self._replicas_changed.clear()
            await self._replicas_changed.wait()

    def seed(self, costs: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Start the cost models with the rows and seconds that warm-up measured."""
        for method, samples in costs.items():
            cost = self._scheduler.cost(method)
            if not cost.knows:
                for rows, seconds in samples:
                    cost.observe(rows, seconds, self._clock.now())

    def add_replica(self, executor: Executor) -> None:
        """Let a replica take batches."""
        self._idle.append(executor)
        self._meters.replica_up(executor.number)
        self._count_replicas()
        self._wake()

    def remove_replica(self, executor: Executor) -> None:
        """Take back the batch of a replica that died: retry it once, or fail it."""
        batch = self._busy.pop(executor, None)
        if batch is None:
            self._idle.remove(executor)
        else:
            batch.attempts += 1
            self._retries.append(batch)
        self._meters.replica_down(executor.number)
        self._count_replicas()
        retries, self._retries = self._retries, []
        for one in retries:
            if one.attempts < _ATTEMPTS and self._scheduler.replicas:
                self._retries.append(one)
            else:
                error = RunnerLostError(
                    f"the replica of runner {self._name!r} died while it computed this "
                    "request; it is being started again",
                    retry_after_s=1.0,
                )
                self._finish(one, [Failure(one.slices, error)])
        self._wake()

    def _count_replicas(self) -> None:
        self._scheduler.replicas = len(self._idle) + len(self._busy)
        self._replicas_changed.set()

    def receive(self, group: CallGroup) -> None:
        """Queue or reject a group."""
        rejection = self._scheduler.arrive(group, self._clock.now())
        # Also after a rejection: other groups may have been evicted in vain.
        self._wake()
        if rejection is None:
            self._groups[group.channel, group.frame.group_id] = group
            self._meters.queue_rows.set(self._scheduler.queue.rows)
            return
        calls = len(group.rows)
        self._meters.refused(rejection.reason, calls)
        self._answers.fail(group, 0, calls, self._arrival_error(rejection))
        self._answers.flush()

    def withdraw_all(self, channel: Channel) -> None:
        """Drop all calls of a channel that was lost."""
        for (origin, _), group in list(self._groups.items()):
            if origin is channel:
                for call in group.remaining_calls():
                    self._withdraw(group, call)

    def withdraw(self, channel: Channel, group_id: int, calls: Sequence[int]) -> None:
        """Drop calls whose callers are gone."""
        group = self._groups.get((channel, group_id))
        if group is not None:
            for call in calls:
                self._withdraw(group, call)

    def _withdraw(self, group: CallGroup, call: int) -> None:
        """Drop a call that nobody waits for; an answer is sent all the same."""
        rows = self._scheduler.queue.withdraw(group, call)
        if not rows:
            return  # it is being computed, and answered then
        self._meters.cancelled_rows.add(rows)
        self._meters.queue_rows.set(self._scheduler.queue.rows)
        if rows < group.rows[call] or group.rows[call] > group.max_rows:
            group.parts[call] = None
        error = UnavailableError("the caller did not wait for the answer")
        self._answers.fail(group, call, call + 1, error)
        self._answers.flush()
        self._forget_if_over(group)

    def _wake(self) -> None:
        # Not at once: all groups of this pass over the sockets come first.
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        self._timer.is_set = False
        while True:
            if self._retries and self._idle:
                self._start(self._retries.pop())
                continue
            now = self._clock.now()
            decision = self._scheduler.schedule(now)
            if isinstance(decision, Dispatch):
                batch = Batch(decision.slices, decision.number)
                for one in batch.slices:
                    self._forget_if_over(one.group)
                if self._start(batch):
                    # The loop was blocked: read the sockets before deciding again.
                    self._wake()
                    break
            elif isinstance(decision, Rejection):
                self._answer_rejected(decision, now)
            else:
                if isinstance(decision, Wait):
                    self._timer.set(decision.until)
                break
        self._meters.queue_rows.set(self._scheduler.queue.rows)
        self._answers.flush()

    def _start(self, batch: Batch) -> bool:
        """Start a batch; return whether the loop was blocked meanwhile."""
        executor = self._idle.pop()
        batch.started_at = self._clock.now()
        self._busy[executor] = batch
        self._meters.replica_busy(executor.number)
        executor.start(batch, self._done)
        return executor.blocks

    def _done(self, executor: Executor, batch: Batch, outcomes: list[Outcome]) -> None:
        if self._busy.pop(executor, None) is None:
            return  # the replica was given up; its batch went to another
        self._idle.append(executor)
        took_s = batch.took_s
        self._meters.replica_idle(executor.number, took_s)
        self._finish(batch, outcomes)
        started_at = batch.started_at
        waits = [max(started_at - one.group.arrived_at, 0.0) for one in batch.slices]
        self._meters.batch_done(batch.key.method, batch.rows, waits, started_at, took_s)
        if self._tracing is not None:
            self._record_span(self._tracing, batch)
        if not executor.blocks:
            self._wake()

    def _record_span(self, tracing: Tracing, batch: Batch) -> None:
        """Record the span of a computed batch, linked to its traced calls."""
        links = [
            ids
            for one in batch.slices
            if one.group.frame.traces
            for call, ids in unpack_calls(one.group.frame.traces)
            if one.first <= call < one.end
        ]
        if not links:
            return
        method, began_at = batch.key.method, batch.started_at
        first_at = min(one.group.arrived_at for one in batch.slices)
        tracing.batch_span(
            f"batch {self._name}.{method}",
            began_at=began_at,
            ended_at=began_at + batch.took_s,
            attributes={
                "headway.runner": self._name,
                "headway.method": method,
                "headway.batch.rows": batch.rows,
                "headway.batch.requests": batch.calls,
                "headway.queue_ms": max(began_at - first_at, 0.0) * 1000,
            },
            links=links,
        )

    def _finish(self, batch: Batch, outcomes: list[Outcome]) -> None:
        """Report a batch to the scheduler, and answer its calls."""
        failed = False
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failed = True
                for one in outcome.slices:
                    if one.is_partial:
                        # The rest of a split call that failed need not be computed.
                        self._scheduler.queue.withdraw(one.group, one.first)
                        self._forget_if_over(one.group)
        batch.queue_delay_s, batch.row_s = self._scheduler.update(
            batch.number, None if failed else batch.took_s, self._clock.now()
        )
        self._answers.add(batch, outcomes)
        self._answers.flush()

    def _answer_rejected(self, rejection: Rejection, now: float) -> None:
        """Answer groups that left the queue unserved."""
        for group in rejection.groups:
            reason, error = self._queue_error(rejection, group, now)
            calls = group.remaining_calls()
            self._meters.refused(reason, len(calls))
            if group.skip:
                # The parts of it that are being computed have nobody to answer.
                group.parts[calls[0]] = None
            for call in calls:
                self._answers.fail(group, call, call + 1, error)
            self._forget_if_over(group)
        self._answers.flush()

    def _queue_error(
        self, rejection: Rejection, group: CallGroup, now: float
    ) -> tuple[str, HeadwayError]:
        """Return the counted reason and the error of a group that was queued."""
        if rejection.reason == "evicted":
            return "queue_full", OverloadedError(
                f"the queue of runner {self._name!r} is full and more urgent requests "
                "came; retry later",
                retry_after_s=rejection.retry_after_s,
            )
        if group.frame.deadline <= now:
            return "expired", DeadlineExceededError(
                f"the deadline passed while the request waited for runner "
                f"{self._name!r}"
            )
        return "predicted_late", OverloadedError(
            f"runner {self._name!r} could not answer in time; retry later",
            retry_after_s=rejection.retry_after_s,
        )

    def _arrival_error(self, rejection: Rejection) -> HeadwayError:
        """Return the error of a group that was never queued."""
        if rejection.reason == "deadline_passed":
            return DeadlineExceededError(
                f"the deadline passed before the request reached runner {self._name!r}"
            )
        why = (
            "its queue is full"
            if rejection.reason == "queue_full"
            else "its queue is too long to meet the deadline"
        )
        return OverloadedError(
            f"runner {self._name!r} refused the request: {why}; retry later",
            retry_after_s=rejection.retry_after_s,
        )

    def _forget_if_over(self, group: CallGroup) -> None:
        if not group.left:
            self._groups.pop((group.channel, group.frame.group_id), None)
