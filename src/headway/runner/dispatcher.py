"""The turn of a runner: what waits, which replica is idle, what the scheduler decides.

The inbox gives it groups, executors give it finished batches; it answers through
runner/results. One turn follows everything that one pass over the sockets brought.
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
from headway.metrics.meters import RunnerMeters
from headway.runner.batch import Batch, GroupPayload
from headway.runner.batch_spans import BatchSpans
from headway.runner.executor import Executor
from headway.runner.outcome import Failure, Outcome
from headway.runner.precise_timer import PreciseTimer
from headway.runner.receiver import RunnerReceiver
from headway.runner.results import Answers, BatchFacts
from headway.scheduling.call_group import CallGroup
from headway.scheduling.scheduler import (
    Dispatch,
    Evict,
    Late,
    Refusal,
    Scheduler,
    Wait,
)

__all__ = ["Dispatcher"]

_log = logging.getLogger(__name__)
_ATTEMPTS = 2


class Dispatcher:
    """Joins the inbox, the scheduler and the replicas of one runner.

    Args:
        name: The runner's.
        scheduler: Decides.
        meters: Counts.
        spans: Records a span for each batch that has traced calls.
        clock: What the scheduler's `now` is.
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
        spans: BatchSpans | None = None,
    ) -> None:
        self._name = name
        self._scheduler = scheduler
        self._meters = meters
        self._spans = spans
        self._clock = clock
        self._loop = loop
        self._alarm = PreciseTimer(loop=loop, callback=self._turn)
        self._answers = Answers()
        self._idle: list[Executor] = []
        self._flying: dict[Executor, tuple[Batch, float]] = {}
        self._again: list[Batch] = []
        """Batches of replicas that died, to be computed once more."""
        self._number = 0
        self._turn_is_due = False
        self._inbox: RunnerReceiver | None = None
        self._replicas_changed = asyncio.Event()

    def start(self, inbox: RunnerReceiver) -> None:
        """Take a timer; `inbox` is told when a group is over."""
        self._inbox = inbox
        self._alarm.start()

    def close(self) -> None:
        """Give the timer back."""
        self._alarm.close()

    async def wait_replicas(self, count: int) -> None:
        """Return once so many replicas are up."""
        while self._scheduler.replicas < count:
            self._replicas_changed.clear()
            await self._replicas_changed.wait()

    def seed(self, costs: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Let the cost models begin with what a replica's warm-up measured."""
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
        """Take back the batch of a replica that died: once more, or an error."""
        flying = self._flying.pop(executor, None)
        if flying is None:
            self._idle.remove(executor)
        self._meters.replica_down(executor.number)
        self._count_replicas()
        if flying is not None:
            batch, _ = flying
            self._scheduler.finished(
                batch.number, batch.key.method, batch.rows, 0, None, self._clock.now()
            )
            batch.attempts += 1
            self._again.append(batch)
        again, self._again = self._again, []
        for batch in again:
            if batch.attempts < _ATTEMPTS and self._scheduler.replicas:
                self._again.append(batch)
            else:
                self._finish(batch, [Failure(batch.pieces, self._lost())], 0.0, 0.0)
        self._wake()

    def _lost(self) -> RunnerLostError:
        return RunnerLostError(
            f"the replica of runner {self._name!r} died while it computed this "
            "request; it is being started again",
            retry_after_s=1.0,
        )

    def _count_replicas(self) -> None:
        self._scheduler.replicas = len(self._idle) + len(self._flying)
        self._replicas_changed.set()

    def receive(self, group: CallGroup) -> None:
        """Queue or refuse a group."""
        refusal = self._scheduler.arrive(group, self._clock.now())
        # Also if it is refused: others may have been evicted, in vain.
        self._wake()
        if refusal is None:
            self._meters.queue_rows.set(self._scheduler.queue.rows)
            return
        self._meters.refused(refusal.reason, len(group.rows))
        self._fail_all(group, self._refusal_error(refusal))
        self._answers.flush()

    def withdraw(self, group: CallGroup, call: int) -> None:
        """Take out a call that nobody waits for; it is answered all the same."""
        rows = self._scheduler.queue.withdraw(group, call)
        if not rows:
            return  # it is being computed, and answered by that
        self._meters.cancelled_rows.add(rows)
        self._meters.queue_rows.set(self._scheduler.queue.rows)
        if rows < group.rows[call] or group.rows[call] > group.max_rows:
            load: GroupPayload = group.load
            load.parts[call] = None
        self._answers.fail(group, call, call + 1, _withdrawn())
        self._answers.flush()
        self._forget_if_over(group)

    def _wake(self) -> None:
        # Not at once: all groups that this pass over the sockets brings come first.
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        self._alarm.cancel()
        while True:
            if self._again and self._idle:
                self._start(self._again.pop())
                continue
            now = self._clock.now()
            decision = self._scheduler.decide(now)
            if decision is None:
                break
            if isinstance(decision, Wait):
                self._alarm.set(decision.until)
                break
            if isinstance(decision, Late):
                self._answer_late(decision, now)
                continue
            if isinstance(decision, Evict):
                self._answer_evicted(decision, now)
                continue
            if self._dispatch(decision):
                # The loop was blocked: read what came before deciding again.
                self._wake()
                break
        self._meters.queue_rows.set(self._scheduler.queue.rows)
        self._answers.flush()

    def _dispatch(self, decision: Dispatch) -> bool:
        """Start a batch; return whether the loop was blocked meanwhile."""
        self._number += 1
        batch = Batch(pieces=decision.pieces, rows=decision.rows, number=self._number)
        for piece in decision.pieces:
            self._forget_if_over(piece.group)
        return self._start(batch)

    def _start(self, batch: Batch) -> bool:
        executor = self._idle.pop()
        now = self._clock.now()
        self._flying[executor] = (batch, now)
        self._scheduler.started(batch.number, batch.key.method, batch.rows, now)
        self._meters.replica_busy(executor.number)
        executor.start(batch, self._done)
        return executor.blocks

    def _done(
        self, executor: Executor, batch: Batch, outcomes: list[Outcome], took_s: float
    ) -> None:
        flying = self._flying.pop(executor, None)
        if flying is None:
            return  # the replica was given up on; its batch went elsewhere
        self._idle.append(executor)
        self._meters.replica_idle(executor.number, took_s)
        failed = any(isinstance(outcome, Failure) for outcome in outcomes)
        self._scheduler.finished(
            batch.number,
            batch.key.method,
            batch.rows,
            batch.answered,
            None if failed else took_s,
            self._clock.now(),
        )
        started_at = flying[1]
        self._finish(batch, outcomes, started_at, took_s)
        waits = [max(started_at - one.group.arrived_at, 0.0) for one in batch.pieces]
        self._meters.batch_done(batch.key.method, batch.rows, waits, started_at, took_s)
        if self._spans is not None:
            self._spans.batch_done(batch, started_at, took_s)
        if not executor.blocks:
            self._wake()

    def _finish(
        self, batch: Batch, outcomes: list[Outcome], started_at: float, took_s: float
    ) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                for piece in outcome.pieces:
                    if piece.is_partial:
                        # The rest of a split call that failed need not be computed.
                        self._scheduler.queue.withdraw(piece.group, piece.first)
                        self._forget_if_over(piece.group)
        facts = BatchFacts(
            rows=batch.rows,
            started_at=started_at,
            compute_s=took_s,
            backlog_s=self._scheduler.next_s(batch.pieces, self._clock.now()),
            row_s=self._scheduler.row_s(batch.pieces[0]),
        )
        self._answers.add(outcomes, facts)
        self._answers.flush()

    def _answer_late(self, late: Late, now: float) -> None:
        for group in late.groups:
            load: GroupPayload = group.load
            if load.frame.deadline <= now:
                reason = "expired"
                error: HeadwayError = DeadlineExceededError(
                    f"the deadline passed while the request waited for runner "
                    f"{self._name!r}"
                )
            else:
                reason = "predicted_late"
                error = OverloadedError(
                    f"runner {self._name!r} could not answer in time",
                    retry_after_s=self._scheduler.backlog_s(now),
                )
            self._give_up(group, reason, error)
        self._answers.flush()

    def _answer_evicted(self, evict: Evict, now: float) -> None:
        error = OverloadedError(
            f"the queue of runner {self._name!r} is full and more urgent requests came",
            retry_after_s=self._scheduler.backlog_s(now),
        )
        for group in evict.groups:
            self._give_up(group, "queue_full", error)
        self._answers.flush()

    def _give_up(self, group: CallGroup, reason: str, error: HeadwayError) -> None:
        """Answer the calls of a group that left the queue unserved."""
        calls = group.remaining_calls()
        self._meters.refused(reason, len(calls))
        if group.skip:
            # The parts of it that are being computed have nobody to answer.
            load: GroupPayload = group.load
            load.parts[calls[0]] = None
        for call in calls:
            self._answers.fail(group, call, call + 1, error)
        self._forget_if_over(group)

    def _fail_all(self, group: CallGroup, error: HeadwayError) -> None:
        self._answers.fail(group, 0, len(group.rows), error)
        group.left = 0
        self._forget_if_over(group)

    def _refusal_error(self, refusal: Refusal) -> HeadwayError:
        if refusal.reason == "deadline_passed":
            return DeadlineExceededError(
                f"the deadline passed before the request reached runner {self._name!r}"
            )
        why = (
            "its queue is full"
            if refusal.reason == "queue_full"
            else "its backlog does not let the deadline be met"
        )
        return OverloadedError(
            f"runner {self._name!r} refused the request: {why}; retry later",
            retry_after_s=refusal.retry_after_s,
        )

    def _forget_if_over(self, group: CallGroup) -> None:
        if not group.left and self._inbox is not None:
            self._inbox.forget(group)


def _withdrawn() -> HeadwayError:
    return UnavailableError("the caller did not wait for the answer")
