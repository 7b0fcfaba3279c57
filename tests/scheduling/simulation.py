"""Drives the scheduler as the dispatcher does, on a clock that the test owns."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence

from headway.config.schema import BatchingConfig
from headway.scheduling.queue import BatchSlice, CallGroup
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler, Wait
from tests.scheduling.builders import group

Seconds = Callable[[int], float]
Delay = Callable[[], float]


class Simulation:
    """A runner without I/O: replicas that take `seconds_of(rows)` for a batch.

    Args:
        seconds_of: What a batch costs.
        replicas: How many compute at once.
        max_rows: Rows in a batch at the most.
        max_wait_ms: Bound of the gather window.
    """

    def __init__(
        self,
        *,
        seconds_of: Seconds,
        replicas: int = 1,
        max_rows: int = 100,
        max_wait_ms: float | None = None,
    ) -> None:
        self.scheduler = Scheduler(
            config=BatchingConfig(max_wait_ms=max_wait_ms), replicas=replicas
        )
        self.seconds_of = seconds_of
        self.max_rows = max_rows
        self.now = 100.0
        self.batches: list[int] = []
        self.latencies: list[float] = []
        self.late: list[CallGroup] = []
        self.rejections: list[Rejection] = []
        self.waits = 0
        self.held_s = 0.0
        """Seconds that a replica stood idle while rows waited."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._running = 0
        self._left: dict[tuple[int, int], int] = {}
        self._done: dict[int, Callable[[], None]] = {}
        self._held_since: float | None = None

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
            self._turn()
        self.now = end

    def call(
        self,
        rows: int,
        done: Callable[[], None] = lambda: None,
        *,
        method: str = "predict",
        deadline_s: float = math.inf,
    ) -> None:
        """Let a call arrive now; `done` is called once it is answered."""
        one = group(
            rows,
            key=method.encode(),
            method=method,
            due=self.now + deadline_s,
            arrived_at=self.now,
            max_rows=self.max_rows,
        )
        rejection = self.scheduler.arrive(one, self.now)
        if rejection is not None:
            self.rejections.append(rejection)
            return
        self.watch(one, done)

    def watch(self, group: CallGroup, done: Callable[[], None]) -> None:
        """Call `done` once the one call of a group is answered."""
        self._left[id(group), 0] = group.left
        self._done[id(group)] = done

    def clients(
        self,
        count: int,
        think: Delay,
        rows: Callable[[], int] = lambda: 1,
        method: str = "predict",
    ) -> None:
        """Add clients that send again `think()` seconds after each answer."""

        def send() -> None:
            self.call(rows(), lambda: self.at(self.now + think(), send), method=method)

        for _ in range(count):
            self.at(self.now + think(), send)

    def arrivals(self, rate: float, seconds: float, random_: random.Random) -> None:
        """Add calls that come by themselves: a Poisson process."""
        when = self.now
        while (when := when + random_.expovariate(rate)) < self.now + seconds:
            self.at(when, lambda: self.call(1))

    def _turn(self) -> None:
        self._note_hold(False)
        while True:
            decision = self.scheduler.schedule(self.now)
            if decision is None:
                return
            if isinstance(decision, Wait):
                if self._running < self.scheduler.replicas:
                    self.waits += 1
                    self._note_hold(True)
                self.at(decision.until, lambda: None)
                return
            if isinstance(decision, Rejection):
                self.late.extend(decision.groups)
            else:
                self._start(decision)

    def _note_hold(self, is_held: bool) -> None:
        if self._held_since is not None:
            self.held_s += self.now - self._held_since
        self._held_since = self.now if is_held else None

    def _start(self, decision: Dispatch) -> None:
        self._running += 1
        took_s = self.seconds_of(decision.rows)
        self.batches.append(decision.rows)

        def finish() -> None:
            self._running -= 1
            self.scheduler.update(decision.number, took_s, self.now)
            self._answer(decision.slices)

        self.at(self.now + took_s, finish)

    def _answer(self, slices: Sequence[BatchSlice]) -> None:
        for part in slices:
            key = (id(part.group), 0)
            self._left[key] -= part.rows
            if not self._left[key]:
                del self._left[key]
                self.latencies.append(self.now - part.group.arrived_at)
                self._done.pop(id(part.group))()


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
