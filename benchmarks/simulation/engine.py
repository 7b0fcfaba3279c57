"""The simulated runner: replicas, a policy that feeds them, requests that come and go.

Events happen in the order of their times; the policy decides once after all that
happen at the same time, as the dispatcher does after a pass over its sockets.
"""

import heapq
import math
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from benchmarks.simulation.meter import Meter
from benchmarks.simulation.policy import Drop, Policy
from benchmarks.simulation.request import Batch, Request
from benchmarks.simulation.sender import Sender
from benchmarks.simulation.service import Service

__all__ = ["Engine"]

_ARRIVE: Final = 0
_FINISH: Final = 1
_TIMER: Final = 2


class Engine:
    """Runs a policy on traffic.

    Args:
        policy: Decides.
        service: How long batches take.
        senders: Where requests come from.
        replicas: How many batches run at a time.
        meter: Counts.
        seed: Of the service times.
    """

    __slots__ = (
        "_busy",
        "_events",
        "_held_since",
        "_meter",
        "_order",
        "_policy",
        "_random",
        "_replicas",
        "_senders",
        "_service",
        "_timer_at",
        "now",
    )

    def __init__(
        self,
        *,
        policy: Policy,
        service: Service,
        senders: Sequence[Sender],
        replicas: int,
        meter: Meter,
        seed: int,
    ) -> None:
        self.now = 0.0
        self._policy = policy
        self._service = service
        self._senders = senders
        self._replicas = replicas
        self._meter = meter
        self._random = Random(f"{seed}/service")
        self._events: list[tuple[float, int, int, Any]] = []
        self._order = 0
        self._busy = 0
        self._timer_at = math.inf
        self._held_since = math.inf

    def run(self) -> None:
        """Run until all traffic is over and everything that came has its answer.

        Raises:
            RuntimeError: If the policy keeps requests to itself or waits for the past.
        """
        for sender in self._senders:
            for when in sender.first():
                self._at(when, _ARRIVE, sender)
        events = self._events
        while events:
            now = self.now = events[0][0]
            is_turn = False
            while events and events[0][0] == now:
                _, _, kind, thing = heapq.heappop(events)
                if kind == _ARRIVE:
                    self._arrive(thing)
                elif kind == _FINISH:
                    self._finish(thing)
                elif now == self._timer_at:
                    self._timer_at = math.inf
                else:
                    continue  # a timer that was set again since
                is_turn = True
            if is_turn:
                self._turn()
        meter = self._meter
        if meter.offered != meter.answered + meter.refused + meter.dropped:
            raise RuntimeError(f"{self._policy!r} left requests without an answer")

    def _at(self, when: float, kind: int, thing: object) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, kind, thing))

    def _arrive(self, sender: Sender) -> None:
        request = sender.make(self.now)
        self._meter.offer(request)
        following = sender.following()
        if following is not None:
            self._at(following, _ARRIVE, sender)
        if not self._policy.arrive(request, self.now):
            self._meter.refuse(request)
            self._send_again(request, served=False)

    def _send_again(self, request: Request, *, served: bool) -> None:
        sender = self._senders[request.sender]
        when = sender.again(self.now, served=served)
        if when is not None:
            self._at(when, _ARRIVE, sender)

    def _finish(self, batch: Batch) -> None:
        now = self.now
        self._busy -= 1
        self._policy.update(batch, batch.took_s, now)
        for request in batch.requests:
            self._meter.answer(request, now)
            self._send_again(request, served=True)

    def _turn(self) -> None:
        now = self.now
        if self._held_since < now:
            self._meter.hold(self._held_since, now)
        self._held_since = math.inf
        while True:
            decision = self._policy.schedule(now)
            if isinstance(decision, Batch):
                self._start(decision)
            elif isinstance(decision, Drop):
                for request in decision.requests:
                    self._meter.drop(request)
                    self._send_again(request, served=False)
            else:
                break
        if decision is None:
            self._timer_at = math.inf
            return
        if self._busy < self._replicas:
            self._held_since = now
        if decision.until <= now:
            raise RuntimeError(f"{self._policy!r} waits for what is past")
        if decision.until != self._timer_at:
            self._timer_at = decision.until
            self._at(decision.until, _TIMER, None)

    def _start(self, batch: Batch) -> None:
        now = self.now
        self._busy += 1
        self._meter.start(batch.rows, now)
        batch.took_s = self._service.sample_s(batch.rows, now, self._random)
        self._at(now + batch.took_s, _FINISH, batch)
