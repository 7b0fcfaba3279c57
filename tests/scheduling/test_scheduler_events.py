"""The scheduler under any order of events: nothing lost or twice, bounds kept."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from headway.scheduling.call_group import BatchSlice, CallGroup
from headway.scheduling.scheduler import (
    Dispatch,
    Evict,
    Late,
    Scheduler,
    SchedulerLimits,
    Wait,
)
from tests.scheduling.asking import NOW, group


class Machine(RuleBasedStateMachine):
    """Arrivals, withdrawals, batches and time, in any order."""

    @initialize(
        replicas=st.integers(0, 3),
        max_queue_rows=st.sampled_from([20, 60, 1000]),
        max_wait_s=st.sampled_from([None, 0.0, 0.002]),
    )
    def begin(
        self, replicas: int, max_queue_rows: int, max_wait_s: float | None
    ) -> None:
        self.now = NOW
        self.limits = SchedulerLimits(
            max_queue_rows=max_queue_rows, max_queue_bytes=4096, max_wait_s=max_wait_s
        )
        self.scheduler = Scheduler(limits=self.limits, replicas=replicas)
        self.left: dict[tuple[CallGroup, int], int] = {}
        """Rows of each call that are still in the queue."""
        self.flying: dict[int, tuple[Dispatch, float]] = {}
        self.number = 0

    @rule(
        rows=st.lists(st.integers(1, 25), min_size=1, max_size=5),
        key=st.sampled_from([b"a", b"b"]),
        priority=st.integers(0, 2),
        due_s=st.sampled_from([0.0, 0.005, 0.05, 1.0, math.inf]),
        alone=st.booleans(),
        nbytes=st.integers(0, 2000),
    )
    def arrive(
        self,
        rows: list[int],
        key: bytes,
        priority: int,
        due_s: float,
        alone: bool,
        nbytes: int,
    ) -> None:
        one = group(
            *rows,
            key=key + b"alone" * alone,
            method=key.decode(),
            priority=priority,
            due=self.now + due_s,
            alone=alone,
            nbytes=nbytes,
            arrived_at=self.now,
        )
        was_empty = not self.scheduler.queue.rows
        refusal = self.scheduler.arrive(one, self.now)
        if refusal is None:
            self.left.update({(one, call): n for call, n in enumerate(rows)})
            assert was_empty or (
                self.scheduler.queue.rows <= self.limits.max_queue_rows
                and self.scheduler.queue.nbytes <= self.limits.max_queue_bytes
            )
        else:
            assert refusal.reason in ("deadline_passed", "queue_full", "predicted_late")
            assert refusal.retry_after_s >= 0

    @precondition(lambda self: any(one.left for one, _ in self.left))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        places = [place for place in self.left if place[0].left]
        one, call = data.draw(st.sampled_from(places))
        rows = self.scheduler.queue.withdraw(one, call)
        assert rows == self.left.pop((one, call))

    @rule(seconds=st.floats(0, 0.02))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def pass_much_time(self) -> None:
        self.now += 2.0

    @rule(replicas=st.integers(0, 3))
    def replicas_change(self, replicas: int) -> None:
        self.scheduler.replicas = max(replicas, len(self.flying))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data: st.DataObject, failed: bool) -> None:
        number = data.draw(st.sampled_from(list(self.flying)))
        decision, began = self.flying.pop(number)
        self.scheduler.finished(
            number,
            decision.pieces[0].group.method,
            decision.rows,
            sum(piece.answered for piece in decision.pieces),
            None if failed else self.now - began,
            self.now,
        )

    @rule()
    def turn(self) -> None:
        while True:
            decision = self.scheduler.decide(self.now)
            if isinstance(decision, Late | Evict):
                self._late(decision)
            elif isinstance(decision, Dispatch):
                self._dispatch(decision)
            else:
                self._rest(decision)
                return

    def _late(self, late: Late | Evict) -> None:
        for one in late.groups:
            for call in one.remaining_calls():
                del self.left[one, call]
            assert isinstance(late, Evict) or one.due < math.inf

    def _dispatch(self, decision: Dispatch) -> None:
        assert len(self.flying) < self.scheduler.replicas
        first = decision.pieces[0].group
        assert {piece.group.key for piece in decision.pieces} == {first.key}
        if first.alone:
            (piece,) = decision.pieces
            assert piece.end - piece.first == 1
        else:
            assert 0 < decision.rows <= first.max_rows
        for piece in decision.pieces:
            self._take(piece)
        self.number += 1
        self.flying[self.number] = decision, self.now
        self.scheduler.started(self.number, first.method, decision.rows, self.now)

    def _take(self, piece: BatchSlice) -> None:
        for call in range(piece.first, piece.end):
            place = (piece.group, call)
            rows = piece.group.rows[call]
            part = piece.rows if piece.end - piece.first == 1 else rows
            assert piece.skip == rows - self.left[place], "in order, none twice"
            self.left[place] -= part
            if not self.left[place]:
                del self.left[place]

    def _rest(self, decision: Wait | None) -> None:
        """With nothing more to do, work is conserved."""
        if decision is None:
            has_idle = len(self.flying) < self.scheduler.replicas
            assert not (self.left and has_idle)
            assert all(one.due == math.inf for one, _ in self.left)
            return
        assert decision.until > self.now
        if len(self.flying) >= self.scheduler.replicas:
            assert decision.until == min(one.due for one, _ in self.left)
        else:
            assert self.limits.max_wait_s != 0
            window_s = self.limits.max_wait_s or 0.1
            assert decision.until <= self.now + window_s

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        queue = self.scheduler.queue
        # What was evicted is here still, until the next turn answers it.
        left = {place: rows for place, rows in self.left.items() if place[0].left}
        assert queue.rows == sum(left.values())
        groups = {id(one): one.nbytes for one, _ in left}
        assert queue.nbytes == sum(groups.values())
        assert self.scheduler.backlog_s(self.now) >= 0

    def teardown(self) -> None:
        """Every call is dispatched or late in the end."""
        if not hasattr(self, "scheduler"):
            return
        self.scheduler.replicas = max(1, len(self.flying))
        for _ in range(1000):
            self.turn()
            if not self.left and not self.flying:
                return
            self.now += 5.0
            for number in list(self.flying):
                decision, _ = self.flying.pop(number)
                method = decision.pieces[0].group.method
                self.scheduler.finished(
                    number, method, decision.rows, 1, None, self.now
                )
        raise AssertionError(f"{self.left} are still here")


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_any_order_of_events = Machine.TestCase
