"""Who is let in, and until when: the concurrency bound and every request's deadline.

api/handler asks it first; it refuses at once, and calls back when a deadline passes.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from headway.clock import Clock
from headway.errors import TooManyRequestsError
from headway.metrics import Counter

__all__ = ["Admission", "Exchange"]

_SLOT_S = 0.01


class Exchange(Protocol):
    """A request that is being served."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed: answer so."""
        ...


class Admission:
    """Counts the requests being served and watches their deadlines.

    Deadlines are kept in slots of 10 ms with one timer for all: entering and leaving
    cost a set operation each, and nothing is kept of a request that was answered.

    Args:
        max_concurrency: Requests served at once by this worker; None for no bound.
        timeout_s: Seconds from a request's receipt to its deadline; infinite for none.
        clock: The time for deadlines.
        loop: Runs the timer.
        refused: Counts refusals.
    """

    def __init__(
        self,
        *,
        max_concurrency: int | None,
        timeout_s: float,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        refused: Callable[[str], Counter],
    ) -> None:
        self._most = max_concurrency
        self.timeout_s = timeout_s
        self._clock = clock
        self._loop = loop
        self._refused = refused
        self._slots: dict[int, set[Exchange]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0
        self.serving = 0

    def enter(self, exchange: Exchange) -> None:
        """Let a request in; `leave` must follow.

        Raises:
            TooManyRequestsError: If `max_concurrency` are being served.
        """
        if self._most is not None and self.serving >= self._most:
            self._refused("max_concurrency").add()
            raise TooManyRequestsError(
                f"{self.serving} requests are being served already "
                "(api_server.max_concurrency); retry later",
                retry_after_s=1.0,
            )
        self.serving += 1
        if exchange.deadline != float("inf"):
            # The slot after: a request is never late before its deadline.
            number = int(exchange.deadline / _SLOT_S) + 1
            slot = self._slots.get(number)
            if slot is None:
                self._slots[number] = {exchange}
                if self._timer is None or number < self._timer_slot:
                    self._arm(number)
            else:
                slot.add(exchange)

    def leave(self, exchange: Exchange) -> None:
        """Note that a request was answered."""
        self.serving -= 1
        if exchange.deadline != float("inf"):
            number = int(exchange.deadline / _SLOT_S) + 1
            slot = self._slots.get(number)
            if slot is not None:
                slot.discard(exchange)
                if not slot:
                    del self._slots[number]

    def _arm(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = number
        delay = max(number * _SLOT_S - self._clock.now(), 0)
        self._timer = self._loop.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        current = int(self._clock.now() / _SLOT_S)
        for number in sorted(n for n in self._slots if n <= current):
            for exchange in list(self._slots.get(number, ())):
                exchange.expire()
        if self._slots:
            self._arm(min(self._slots))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
