"""The scheduler: nothing lost, bounds kept, no idling that is not paid for."""

import math
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from headway.batching.cohort import Cohort, Piece
from headway.batching.gather import GatherWindow
from headway.batching.scheduler import (
    Dispatch,
    Evict,
    Late,
    Scheduler,
    SchedulerLimits,
    Wait,
)
from tests.batching.simulation import Simulation

NOW = 100.0


def cohort(*rows: int, due: float = math.inf, **options: Any) -> Cohort:
    return Cohort(
        **{
            "key": b"k",
            "method": "predict",
            "rows": rows,
            "due": due,
            "arrived_at": NOW,
            "max_rows": 10,
            **options,
        }
    )


def scheduler(*cohorts: Cohort, replicas: int = 1, **limits: Any) -> Scheduler:
    made = Scheduler(limits=SchedulerLimits(**limits), replicas=replicas)
    for one in cohorts:
        assert made.arrive(one, NOW) is None
    return made


def teach(made: Scheduler, rows: int, seconds: float, now: float = NOW) -> None:
    for _ in range(10):
        made.cost("predict").observe(rows, seconds, now)


def dispatched(made: Scheduler, now: float = NOW) -> list[int]:
    """Return the rows of the pieces that go now."""
    decision = made.decide(now)
    assert isinstance(decision, Dispatch)
    assert decision.rows == sum(piece.rows for piece in decision.pieces)
    return [piece.rows for piece in decision.pieces]


def test_with_nothing_waiting_there_is_nothing_to_do() -> None:
    assert scheduler().decide(NOW) is None


def test_what_waits_goes_at_once_when_nothing_is_known() -> None:
    assert dispatched(scheduler(cohort(1, 2), cohort(3))) == [3, 3]


def test_a_batch_keeps_the_cap() -> None:
    made = scheduler(cohort(6), cohort(3), cohort(2))
    assert dispatched(made) == [6, 3]
    assert dispatched(made) == [2]


def test_an_oversize_call_goes_in_parts_in_order() -> None:
    made = scheduler(cohort(25), cohort(4))
    assert [dispatched(made) for _ in range(3)] == [[10], [10], [5, 4]]


def test_busy_replicas_get_nothing() -> None:
    made = scheduler(cohort(1), replicas=0)
    assert made.decide(NOW) is None
    made.replicas = 1
    made.started(1, "predict", 5, NOW)
    assert made.decide(NOW) is None
    made.finished(1, "predict", 5, 5, 0.001, NOW)
    assert dispatched(made) == [1]


def test_while_all_are_busy_it_waits_for_the_first_that_is_due() -> None:
    made = scheduler(cohort(1, due=NOW + 2), cohort(1, due=NOW + 1))
    made.started(1, "predict", 1, NOW)
    assert made.decide(NOW) == Wait(NOW + 1)
    late = made.decide(NOW + 1)
    assert isinstance(late, Late)
    assert [one.due for one in late.cohorts] == [NOW + 1]
    assert made.decide(NOW + 1) == Wait(NOW + 2)


def test_what_is_due_is_refused_or_late() -> None:
    made = scheduler(cohort(1, due=NOW + 1))
    refusal = made.arrive(cohort(1, due=NOW), NOW)
    assert refusal is not None
    assert refusal.reason == "deadline_passed"
    assert isinstance(made.decide(NOW + 1), Late)
    assert made.decide(NOW + 1) is None


@pytest.mark.parametrize(
    ("limits", "queued"),
    [({"max_queue_rows": 10}, cohort(8)), ({"max_queue_bytes": 99}, cohort(1))],
    ids=["rows", "bytes"],
)
def test_a_full_queue_refuses(limits: dict[str, int], queued: Cohort) -> None:
    queued.nbytes = 60
    made = scheduler(queued, **limits)
    refusal = made.arrive(cohort(3, nbytes=50), NOW)
    assert refusal is not None
    assert refusal.reason == "queue_full"
    assert refusal.retry_after_s >= 0


def test_an_empty_queue_takes_whatever_comes() -> None:
    scheduler(cohort(50, nbytes=500), max_queue_rows=10, max_queue_bytes=100)


def test_a_deadline_that_the_backlog_breaks_is_refused_with_when_to_retry() -> None:
    made = scheduler()
    teach(made, 10, 0.1)
    made.started(1, "predict", 10, NOW)
    for _ in range(3):
        assert made.arrive(cohort(10, due=NOW + 9), NOW) is None
    # 0.1 s for the batch at hand, three batches ahead that count for more, as nobody
    # knows how fast they will be, and its own.
    assert made.backlog_s(NOW) == pytest.approx(0.1 + 1.4 * 0.3 + 0.1)
    assert made.arrive(cohort(10, due=NOW + 9.1), NOW) is None
    refusal = made.arrive(cohort(10, due=NOW + 9), NOW + 8.9)
    assert refusal is None, "what was learned 8.9 s ago is not trusted"
    refusal = made.arrive(cohort(10, due=NOW + 0.05), NOW)
    assert refusal is not None
    assert refusal.reason == "predicted_late"
    assert refusal.retry_after_s == pytest.approx(0.15)


def test_what_can_be_met_only_at_once_is_taken_by_an_idle_replica() -> None:
    made = scheduler()
    teach(made, 1, 0.1)
    assert made.arrive(cohort(1, due=NOW + 0.11), NOW) is None
    assert dispatched(made) == [1]


def test_calls_that_go_alone_are_priced_as_they_go() -> None:
    made = scheduler()
    teach(made, 100, 0.002)
    teach(made, 1, 0.001)
    for _ in range(5):
        # 100 rows each, alone: 2 ms a piece, though the cap is 10 rows; those ahead
        # count for more than they take.
        due = NOW + 0.0135
        assert made.arrive(cohort(100, due=due, alone=True), NOW) is None
    assert dispatched(made) == [100]
    late = made.decide(NOW + 0.012)
    assert isinstance(late, Late), "2 ms do not fit in 1.5"


def test_the_backlog_is_that_of_one_row_more() -> None:
    made = scheduler()
    assert made.backlog_s(NOW) == 0.0
    teach(made, 1, 0.1)
    made.started(1, "predict", 1, NOW)
    assert made.backlog_s(NOW + 0.04) == 0.0, "of nobody's method"
    assert made.arrive(cohort(1), NOW) is None
    # The rest of the batch at hand, and then two rows together: nothing is known of
    # two, so their time is taken to be in proportion.
    assert made.backlog_s(NOW + 0.04) == pytest.approx(0.06 + 0.2)
    assert made.backlog_s(NOW + 5) == pytest.approx(0.2)
    assert made.arrive(cohort(1, priority=3), NOW) is None
    assert made.backlog_s(NOW) == 0.0, "it depends on the class"


def test_a_head_that_cannot_be_met_any_more_is_late() -> None:
    made = scheduler(cohort(1, due=NOW + 0.2), cohort(1, due=NOW + 9))
    teach(made, 1, 0.1, NOW)
    late = made.decide(NOW + 0.15)
    assert isinstance(late, Late)
    assert [one.due for one in late.cohorts] == [NOW + 0.2]
    assert dispatched(made, NOW + 0.15) == [1]


def test_a_batch_is_no_larger_than_the_earliest_deadline_allows() -> None:
    made = scheduler(cohort(1, due=NOW + 0.5), *(cohort(1) for _ in range(9)))
    for rows in range(1, 11):
        teach(made, rows, 0.1 + 0.06 * rows)
    pieces = dispatched(made)
    assert 5 <= len(pieces) <= 6  # the tail of six is near 0.5 s
    made = scheduler(cohort(2, due=NOW + 0.25), *(cohort(1) for _ in range(9)))
    teach(made, 2, 0.24)
    teach(made, 10, 9.0)
    assert dispatched(made) == [2], "the head goes, though its tail is later"


def test_a_burst_may_queue_for_longer_than_a_backlog_that_stands() -> None:
    taken = {}
    for stands in (False, True):
        made = scheduler()
        teach(made, 10, 0.01)
        made.arrive(cohort(1, due=NOW + 1), NOW)
        now = NOW
        if stands:  # for three seconds, half of what each request has is gone
            made.arrive(cohort(*[10] * 40, due=NOW + 0.5), now)
            for _ in range(30):
                now += 0.1
                teach(made, 10, 0.01, now)
                made.arrive(cohort(1, due=now + 1, arrived_at=now), now)
            assert list(made.queue.expire(math.inf))
        taken[stands] = taken_of_burst(made, now)
    assert taken[False] == pytest.approx(1 / (1.4 * 0.01), abs=2)
    assert taken[True] == pytest.approx(1 / (2.4 * 0.01), abs=2)


def taken_of_burst(made: Scheduler, now: float) -> int:
    """Return how many of 200 full batches, due in a second, are let in."""
    made.started(1, "predict", 10, now)
    return sum(
        made.arrive(cohort(10, due=now + 1, arrived_at=now), now) is None
        for _ in range(200)
    )


def test_a_burst_after_a_pause_is_no_backlog_that_stands() -> None:
    made = scheduler()
    teach(made, 10, 0.01, NOW - 60)
    made.arrive(cohort(1, due=NOW - 59), NOW - 60)
    dispatched(made, NOW - 60)
    # What was learned a minute ago refuses nobody, until the first batch is done.
    for _ in range(20):
        assert made.arrive(cohort(10, due=NOW + 1), NOW) is None
    teach(made, 10, 0.01, NOW)
    assert 20 + taken_of_burst(made, NOW) == pytest.approx(1 / (1.4 * 0.01), abs=3)


def test_a_full_queue_gives_the_places_of_less_urgent_ones_away() -> None:
    made = scheduler(
        cohort(4, priority=5, due=NOW + 9),
        cohort(4, priority=5, due=NOW + 5),
        cohort(2, priority=3),
        max_queue_rows=10,
    )
    refusal = made.arrive(cohort(3, priority=5, due=NOW + 1), NOW)
    assert refusal is not None
    assert refusal.reason == "queue_full"
    assert made.arrive(cohort(3, priority=4, due=NOW + 8), NOW) is None
    evict = made.decide(NOW)
    assert isinstance(evict, Evict)
    assert [one.due for one in evict.cohorts] == [NOW + 9], "that would go last"
    assert dispatched(made) == [2, 3, 4]
    assert made.decide(NOW) is None


def test_what_never_fits_evicts_nobody() -> None:
    limits = {"max_queue_rows": 10, "max_queue_bytes": 100}
    made = scheduler(cohort(1, priority=5, nbytes=1), **limits)
    for oversize in (cohort(11, priority=0), cohort(1, priority=0, nbytes=101)):
        refusal = made.arrive(oversize, NOW)
        assert refusal is not None
        assert refusal.reason == "queue_full"
    assert dispatched(made) == [1]


def test_the_bytes_of_less_urgent_ones_are_given_away_too() -> None:
    made = scheduler(
        *(cohort(1, priority=5, nbytes=40) for _ in range(2)), max_queue_bytes=100
    )
    assert made.arrive(cohort(1, priority=0, nbytes=90), NOW) is None
    evict = made.decide(NOW)
    assert isinstance(evict, Evict)
    assert len(evict.cohorts) == 2
    assert made.queue.nbytes == 90


def test_more_urgent_ones_are_not_refused_for_a_backlog_of_others() -> None:
    made = scheduler(*(cohort(10, priority=5, due=NOW + 1) for _ in range(100)))
    teach(made, 10, 0.1)
    assert made.arrive(cohort(1, priority=5, due=NOW + 1), NOW) is not None
    assert made.arrive(cohort(1, priority=4, due=NOW + 1), NOW) is None


def test_a_class_waits_for_its_turn_at_the_longest() -> None:
    made = scheduler(*(cohort(10, priority=0) for _ in range(1000)))
    teach(made, 10, 0.01)
    # One class lower, every sixteenth batch is its own.
    assert made.arrive(cohort(1, priority=1, due=NOW + 0.2), NOW) is not None
    assert made.arrive(cohort(1, priority=1, due=NOW + 0.3), NOW) is None


def test_a_row_adds_its_share_of_a_batch_to_the_backlog() -> None:
    made = scheduler(cohort(30))
    (piece,) = made.decide(NOW).pieces  # type: ignore[union-attr]
    assert made.row_s(piece) == 0.0, "nothing is known"
    teach(made, 10, 0.1)
    one = made.row_s(piece)
    assert one == pytest.approx(1.4 * 0.01, rel=0.1)
    made.replicas = 4
    assert made.row_s(piece) == pytest.approx(one / 4)
    alone = scheduler(cohort(30, alone=True))
    teach(alone, 30, 0.1)
    (piece,) = alone.decide(NOW).pieces  # type: ignore[union-attr]
    assert alone.row_s(piece) == pytest.approx(1.4 * 0.1 / 30, rel=0.1)


@pytest.mark.parametrize(("rate", "batch"), [(0, 1), (5000, 10)])
def test_batches_grow_with_what_arrives(rate: int, batch: int) -> None:
    made = scheduler()
    for rows in (1, 2, 5, 10):
        teach(made, rows, 0.00001 + 0.001 * rows)
    for step in range(rate // 10):
        now = NOW + step * 10 / rate
        assert made.arrive(cohort(10, arrived_at=now), now) is None
        made.queue.drop(made.queue.next_lane())  # type: ignore[arg-type]
    now = NOW + 1
    teach(made, 1, 0.00101, now)
    made.arrive(cohort(*[1] * 10, arrived_at=now), now)
    decision = made.decide(now)
    assert isinstance(decision, Dispatch)
    assert decision.rows == batch


def closed_loop(**limits: Any) -> Scheduler:
    """Return a scheduler that saw 8 clients return 0.3 ms after each answer."""
    made = scheduler(**limits)
    for cycle in range(10):
        now = NOW - 10 + cycle
        for _ in range(8):
            made.arrive(cohort(1, arrived_at=now + 0.0003), now + 0.0003)
        assert dispatched(made, now + 0.0003) == [1] * 8
        made.started(cycle, "predict", 8, now)
        made.finished(cycle, "predict", 8, 8, 0.004, NOW if cycle == 9 else now + 1)
    return made


def test_the_first_of_a_closed_loop_waits_for_the_others() -> None:
    made = closed_loop()
    made.arrive(cohort(1, arrived_at=NOW + 0.0001), NOW + 0.0001)
    decision = made.decide(NOW + 0.0001)
    assert isinstance(decision, Wait)
    assert NOW + 0.0003 <= decision.until < NOW + 0.0005
    for _ in range(7):
        made.arrive(cohort(1, arrived_at=NOW + 0.0003), NOW + 0.0003)
    assert dispatched(made, NOW + 0.0003) == [1] * 8


@pytest.mark.parametrize(
    "options",
    [{"due": NOW + 0.0046}, {"alone": True}, {"max_rows": 1}],
    ids=["due before", "alone", "full"],
)
def test_what_gains_nothing_by_waiting_goes(options: dict[str, Any]) -> None:
    made = closed_loop()
    assert made.arrive(cohort(1, **options), NOW + 0.0001) is None
    assert dispatched(made, NOW + 0.0001) == [1]


def test_with_a_second_idle_replica_nobody_waits() -> None:
    made = closed_loop()
    made.replicas = 2
    made.arrive(cohort(1), NOW + 0.0001)
    assert dispatched(made, NOW + 0.0001) == [1]


def test_a_lower_class_gets_its_turn_under_load() -> None:
    simulation = Simulation(seconds_of=lambda rows: 0.01, max_rows=1)
    answered: list[float] = []
    simulation.scheduler.cost("predict")
    for step in range(300):  # twice what one replica can do
        simulation.at(100.0 + 0.005 * step, lambda: simulation.call(1))

    def low() -> None:
        one = cohort(1, key=b"low", priority=1, max_rows=1, arrived_at=simulation.now)
        assert simulation.scheduler.arrive(one, simulation.now) is None
        simulation.watch(one, lambda: answered.append(simulation.now))

    simulation.at(100.1, low)
    simulation.run(3.0)
    assert len(answered) == 1
    # One class up after 0.5 s, where equal (endless) deadlines go by arrival.
    assert answered[0] < 100.1 + 0.5 + 0.25


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
        self.left: dict[tuple[Cohort, int], int] = {}
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
        one = cohort(
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
            decision.pieces[0].cohort.method,
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
        for one in late.cohorts:
            for call in one.remaining_calls():
                del self.left[one, call]
            assert isinstance(late, Evict) or one.due < math.inf

    def _dispatch(self, decision: Dispatch) -> None:
        assert len(self.flying) < self.scheduler.replicas
        first = decision.pieces[0].cohort
        assert {piece.cohort.key for piece in decision.pieces} == {first.key}
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

    def _take(self, piece: Piece) -> None:
        for call in range(piece.first, piece.end):
            place = (piece.cohort, call)
            rows = piece.cohort.rows[call]
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
        cohorts = {id(one): one.nbytes for one, _ in left}
        assert queue.nbytes == sum(cohorts.values())
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
                method = decision.pieces[0].cohort.method
                self.scheduler.finished(
                    number, method, decision.rows, 1, None, self.now
                )
        raise AssertionError(f"{self.left} are still here")


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_any_order_of_events = Machine.TestCase


def test_the_window_is_the_methods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scheduler(replicas=2)
    seen: list[tuple[int, int, int]] = []
    monkeypatch.setattr(
        GatherWindow,
        "arrived",
        lambda window, calls, rows, **_: seen.append((id(window), calls, rows)),
    )
    made.arrive(cohort(1, 2), NOW)
    made.arrive(cohort(5, method="other", key=b"o"), NOW)
    made.arrive(cohort(4), NOW)
    assert [(calls, rows) for _, calls, rows in seen] == [(2, 3), (1, 5), (1, 4)]
    assert seen[0][0] == seen[2][0] != seen[1][0]
