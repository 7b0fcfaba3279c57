"""How long a backlog counts as, when the scheduler asks whether a request will be late.

Longer than it is, as the model may well become slower meanwhile, not least by the very
overload. And much longer once it stands: a burst is worth a long queue, as all of it is
answered in the end, by its deadline; but under an overload that lasts, a long queue
serves nobody more than a short one does, and makes everyone wait for all of their time.
So the longer it has stood the more it counts; only the next batch always counts once.
"""

from typing import Final

__all__ = ["OverloadDetector"]

_SHORT: Final = 0.25
"""Share of a request's time up to which a backlog does not count as one."""
_BURST_BUDGETS: Final = 2.0
"""So many times the time that a request has, a backlog may be a burst's.

After n times that it counts n times: what is given up, the work that would be left when
the overload ends, is less than a tenth of what was served during it.
"""
_CAUTION: Final = 1.4


class OverloadDetector:
    """Whether the backlog stands."""

    __slots__ = ("_longest_s", "_short_at", "factor")

    def __init__(self) -> None:
        self._short_at = float("-inf")
        self._longest_s = 0.0
        """The most time that a request had since: a hasty one tells nothing."""
        self.factor = _CAUTION
        """By how much the batches before the next count as longer than they are."""

    def observe(self, answer_s: float, budget_s: float, now: float) -> None:
        """Take note of the backlog that a request meets.

        Args:
            answer_s: Seconds after which it would be answered.
            budget_s: Seconds in which it must be.
            now: Monotonic seconds.
        """
        if answer_s <= _SHORT * budget_s or self._short_at == float("-inf"):
            self._short_at = now
            self._longest_s = 0.0
        self._longest_s = max(self._longest_s, budget_s)
        standing_s = now - self._short_at
        burst_s = _BURST_BUDGETS * self._longest_s
        self.factor = _CAUTION * max(standing_s / burst_s, 1.0)
