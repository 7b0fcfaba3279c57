"""Monotonic time behind an interface, so that tests and the simulator can set it.

Code that decides by time takes a Clock; no other code in Headway reads the time.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of monotonic seconds that all processes of a machine share."""

    def now(self) -> float:
        """Return monotonic seconds."""


class MonotonicClock:
    """CLOCK_MONOTONIC, which event loops use as well."""

    __slots__ = ()

    now = staticmethod(time.monotonic)
