"""How much work arrives: seconds of model time per second, over the last moments.

The scheduler adds what it accepts; scheduling/batch_size asks how much there is to
spare.
"""

import math
from typing import Final

__all__ = ["OfferedLoad"]

_MEMORY_S: Final = 0.5
"""Older arrivals have faded to a third: long enough to average out single batches."""


class OfferedLoad:
    """An exponentially fading sum of work."""

    __slots__ = ("_at", "_work_s")

    def __init__(self) -> None:
        self._work_s = 0.0
        self._at = 0.0

    def add(self, work_s: float, now: float) -> None:
        """Count work that arrived at `now`, in seconds of one replica."""
        self._fade(now)
        self._work_s += work_s

    def load(self, now: float) -> float:
        """Return the replicas that would be kept busy by what arrives."""
        self._fade(now)
        return self._work_s / _MEMORY_S

    def _fade(self, now: float) -> None:
        if now > self._at:
            self._work_s *= math.exp((self._at - now) / _MEMORY_S)
            self._at = now
