"""Monotonic time behind an interface, so that tests and the simulator own it.

Everything that decides by time takes a Clock; nothing else in Headway reads one.
"""

import time
from typing import Protocol

__all__ = ["Clock", "MonotonicClock"]


class Clock(Protocol):
    """A source of monotonic seconds, comparable between processes of one machine."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...


class MonotonicClock:
    """CLOCK_MONOTONIC, which asyncio's loops and all processes of a machine share."""

    __slots__ = ()

    now = staticmethod(time.monotonic)
