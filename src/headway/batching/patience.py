"""How much of its time a request may spend in the queue: less, once a backlog stands.

A burst is worth a long queue: all of it is answered in the end, by its deadline. Under
an overload that lasts, a long queue serves nobody more than a short one does; it only
makes everyone wait for all of their time. The scheduler asks before it admits.
"""

from typing import Final

__all__ = ["Patience"]

_SHORT: Final = 0.25
"""Share of a request's time up to which a backlog does not count as one."""
_BURST_BUDGETS: Final = 3.0
"""So many times the time that a request has, a backlog may be a burst's.

What a standing backlog gives up is the work that is left when the overload ends: at
the most half of a request's time, of at least four times that.
"""
_STANDING: Final = 2.0
"""By so much a standing backlog counts as longer than it is."""


class Patience:
    """Whether the backlog stands."""

    __slots__ = ("_short_at", "factor")

    def __init__(self) -> None:
        self._short_at = float("-inf")
        self.factor = 1.0
        """By how much the backlog counts as longer than it is."""

    def observe(self, answer_s: float, budget_s: float, now: float) -> None:
        """Take note of the backlog that a request meets.

        Args:
            answer_s: Seconds after which it would be answered.
            budget_s: Seconds in which it must be.
            now: Monotonic seconds.
        """
        if answer_s <= _SHORT * budget_s or self._short_at == float("-inf"):
            self._short_at = now
        stands = now - self._short_at > _BURST_BUDGETS * budget_s
        self.factor = _STANDING if stands else 1.0
