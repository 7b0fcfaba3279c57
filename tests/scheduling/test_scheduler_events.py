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

from headway.config.schema import BatchingConfig
from headway.scheduling.queue import BatchSlice, CallGroup
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler, Wait
from tests.scheduling.builders import NOW, group


class Machine(RuleBasedStateMachine):
    """Arrivals, withdrawals, batches and time, in any order."""

    @initialize(
        replicas=st.integers(0, 3),
        max_queue_rows=st.sampled_from([20, 60, 1000]),
        max_wait_ms=st.sampled_from([None, 0.0, 2.0]),
    )
    def begin(
        self, replicas: int, max_queue_rows: int, max_wait_ms: float | None
    ) -> None:
        self.now = NOW
        self.config = BatchingConfig(
            max_queue_rows=max_queue_rows, max_queue_bytes=4096, max_wait_ms=max_wait_ms
        )
        self.scheduler = Scheduler(config=self.config, replicas=replicas)
        self.left: dict[tuple[CallGroup, int], int] = {}
        """Rows of each call that are still in the queue."""
        self.running: dict[int, float] = {}
        """When each batch started."""

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
        rejection = self.scheduler.arrive(one, self.now)
        if rejection is None:
            self.left.update({(one, call): n for call, n in enumerate(rows)})
            assert was_empty or (
                self.scheduler.queue.rows <= self.config.max_queue_rows
                and self.scheduler.queue.nbytes <= self.config.max_queue_bytes
            )
        else:
            assert rejection.groups == [one]
            assert rejection.reason in (
                "deadline_passed",
                "queue_full",
                "predicted_late",
            )
            assert rejection.retry_after_s >= 0

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
        self.scheduler.replicas = max(replicas, len(self.running))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), failed=st.booleans())
    def finish(self, data: st.DataObject, failed: bool) -> None:
        number = data.draw(st.sampled_from(list(self.running)))
        took_s = self.now - self.running.pop(number)
        estimates = self.scheduler.update(number, None if failed else took_s, self.now)
        assert min(estimates) >= 0

    @rule()
    def turn(self) -> None:
        while True:
            decision = self.scheduler.schedule(self.now)
            if isinstance(decision, Rejection):
                self._late(decision)
            elif isinstance(decision, Dispatch):
                self._dispatch(decision)
            else:
                self._rest(decision)
                return

    def _late(self, late: Rejection) -> None:
        for one in late.groups:
            for call in one.remaining_calls():
                del self.left[one, call]
            assert late.reason == "evicted" or one.due < math.inf
        assert late.retry_after_s >= 0

    def _dispatch(self, decision: Dispatch) -> None:
        assert len(self.running) < self.scheduler.replicas
        first = decision.slices[0].group
        assert {part.group.key for part in decision.slices} == {first.key}
        if first.alone:
            (part,) = decision.slices
            assert part.end - part.first == 1
        else:
            assert 0 < decision.rows <= first.max_rows
        for part in decision.slices:
            self._take(part)
        assert decision.number not in self.running
        self.running[decision.number] = self.now

    def _take(self, part: BatchSlice) -> None:
        for call in range(part.first, part.end):
            place = (part.group, call)
            rows = part.group.rows[call]
            taken = part.rows if part.end - part.first == 1 else rows
            assert part.skip == rows - self.left[place], "in order, none twice"
            self.left[place] -= taken
            if not self.left[place]:
                del self.left[place]

    def _rest(self, decision: Wait | None) -> None:
        """With nothing more to do, work is conserved."""
        if decision is None:
            has_idle = len(self.running) < self.scheduler.replicas
            assert not (self.left and has_idle)
            assert all(one.due == math.inf for one, _ in self.left)
            return
        assert decision.until > self.now
        if len(self.running) >= self.scheduler.replicas:
            assert decision.until == min(one.due for one, _ in self.left)
        else:
            assert self.config.max_wait_ms != 0
            window_s = (self.config.max_wait_ms or 100) / 1000
            assert decision.until <= self.now + window_s + 1e-9

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

    def teardown(self) -> None:
        """Every call is dispatched or late in the end."""
        if not hasattr(self, "scheduler"):
            return
        self.scheduler.replicas = max(1, len(self.running))
        for _ in range(1000):
            self.turn()
            if not self.left and not self.running:
                return
            self.now += 5.0
            for number in list(self.running):
                del self.running[number]
                self.scheduler.update(number, None, self.now)
        raise AssertionError(f"{self.left} are still here")


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_any_order_of_events = Machine.TestCase
