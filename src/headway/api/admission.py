"""Who is let in, and until when: the concurrency bound and every request's deadline.

api/endpoint asks it first; it refuses at once, and calls back when a deadline passes.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from headway.core.clock import Clock
from headway.errors import TooManyRequestsError
from headway.metrics import Counter

__all__ = ["Admission", "Exchange"]

_SLOT_S: Final = 0.01


class Exchange(Protocol):
    """A request that is being served."""

    deadline: float
    slot: Any
    """The admission's: among which others its deadline is watched."""

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
        # The slot of the last deadline is that of the next, most of the time.
        self._slot: set[Exchange] = set()
        self._slot_from = self._slot_to = 0.0
        self._number = 0
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
        if not self._slot_from <= exchange.deadline < self._slot_to:
            if exchange.deadline == float("inf"):
                return
            self._find_slot(exchange.deadline)
        exchange.slot = self._slot
        self._slot.add(exchange)

    def _find_slot(self, deadline: float) -> None:
        last, last_number = self._slot, self._number
        # The slot after: a request is never late before its deadline.
        number = self._number = int(deadline / _SLOT_S) + 1
        self._slot = self._slots.setdefault(number, set())
        self._slot_from, self._slot_to = (number - 1) * _SLOT_S, number * _SLOT_S
        if not last:
            self._drop(last_number, last)
        if self._timer is None or number < self._timer_slot:
            self._arm(number)

    def leave(self, exchange: Exchange) -> None:
        """Note that a request was answered."""
        self.serving -= 1
        slot = exchange.slot
        if slot is not None:
            exchange.slot = None
            slot.discard(exchange)
            if not slot:
                self._drop(int(exchange.deadline / _SLOT_S) + 1, slot)

    def _drop(self, number: int, slot: set[Exchange]) -> None:
        """Forget an empty slot, unless the next request will want it."""
        if slot is not self._slot and self._slots.get(number) is slot:
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
            slot = self._slots.pop(number)
            if slot is self._slot:
                self._slot_from = self._slot_to = 0.0
            for exchange in list(slot):
                exchange.expire()
        if self._slots:
            self._arm(min(self._slots))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
