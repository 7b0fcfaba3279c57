"""What waits before a runner, as its API worker can tell: who will certainly be late.

api/runner_client keeps one and refuses calls by it: the runner would refuse them too,
but only after the batch at hand.
"""

from typing import Final

__all__ = ["QueueDelayEstimate"]

_ALIKE: Final = 1.15
"""Up to so many times less time is that of calls alike, as in batching.scheduler."""


class QueueDelayEstimate:
    """When the runner, by its last results, would answer one more call."""

    __slots__ = (
        "_answer_at",
        "_budget_s",
        "_latest_class",
        "_method",
        "_row_s",
        "is_told",
        "latest",
    )

    def __init__(self) -> None:
        self._answer_at = 0.0
        self._budget_s = 0.0
        """The time that those had whose results told it: hastier ones go before."""
        self._row_s = 0.0
        """By how much each row that is sent delays the next."""
        self.latest = 0.0
        """The latest deadline of what is on its way: earlier ones may overtake it."""
        self._latest_class = 0
        """The class of the call that was sent last."""
        self._method = ""
        self.is_told = True
        """Whether all calls are of one method: only then can a backlog be told."""

    def told(self, backlog_s: float, row_s: float, budget_s: float, now: float) -> None:
        """Take the runner's word that came with results.

        Args:
            backlog_s: Seconds until one more row like these would be answered.
            row_s: Seconds that each row adds to that.
            budget_s: Seconds that the calls answered had.
            now: Monotonic seconds.
        """
        self._answer_at = now + backlog_s
        self._row_s = row_s
        self._budget_s = budget_s

    def forget(self) -> None:
        """Begin anew: the runner is gone, and what waited there."""
        self._answer_at = self.latest = 0.0

    def late_s(self, deadline: float, priority: int, hop_s: float, now: float) -> float:
        """Return by how many seconds a call is certainly late; not above 0 if not.

        Of one that may overtake others, or where methods take other times, the runner
        knows more.

        Args:
            deadline: Of the call.
            priority: Its class.
            hop_s: What its way takes besides the runner's own time.
            now: Monotonic seconds.
        """
        late_s = self._answer_at + hop_s - deadline
        if late_s > 0 and (
            deadline < self.latest
            or _ALIKE * (deadline - now) < self._budget_s
            or priority < self._latest_class
            or not self.is_told
        ):
            return 0.0
        return late_s

    def add(self, rows: int, deadline: float, priority: int, method: str) -> None:
        """Note a call that goes out."""
        self._answer_at += rows * self._row_s
        if deadline > self.latest:
            self.latest = deadline
        self._latest_class = priority
        if method is not self._method:
            self._note_method(method)

    def _note_method(self, method: str) -> None:
        if method != self._method:
            self.is_told = not self._method
            self._method = method
