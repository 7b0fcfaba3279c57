"""How long a backlog counts as, when the scheduler asks whether a request will be late.

Longer than it is, as the model may well become slower meanwhile, not least by the very
overload. And much longer once it stands: a burst is worth a long queue, as all of it is
answered in the end, by its deadline; but under an overload that lasts, a long queue
serves nobody more than a short one does, and makes everyone wait for all of their time.
"""

from typing import Final

__all__ = ["Patience"]

_SHORT: Final = 0.25
"""Share of a request's time up to which a backlog does not count as one."""
_BURST_BUDGETS: Final = 2.0
"""So many times the time that a request has, a backlog may be a burst's.

What a standing backlog gives up is the work that is left when the overload ends: at
the most half of a request's time, of at least three times that.
"""
_PASSING: Final = 1.4
_STANDING: Final = 2.4


class Patience:
    """Whether the backlog stands."""

    __slots__ = ("_short_at", "factor")

    def __init__(self) -> None:
        self._short_at = float("-inf")
        self.factor = _PASSING
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
        stands = now - self._short_at > _BURST_BUDGETS * budget_s
        self.factor = _STANDING if stands else _PASSING
