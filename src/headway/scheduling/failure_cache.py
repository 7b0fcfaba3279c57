"""Which calls of a method are likely to fail: those that did, and those that look it.

runner/isolation asks before it computes a batch and tells what became of suspects. What
is suspected is computed all the same, only apart from the others.
"""

__all__ = ["FailureCache"]

_MOST = 1024
_KEPT_S = 60.0
_LEARNING_RATE = 0.25


class FailureCache:
    """The digests of calls that failed alone lately, and the standing of odd numbers.

    A digest may be anybody's: a wrong suspicion costs a call of the model, no answer.

    A call with an infinity or a NaN is odd. Some models refuse them, others live on
    them, so a moving mean tells how often an odd call that was computed alone failed.
    """

    __slots__ = ("_blame", "_blamed_at", "_failed_at")

    def __init__(self) -> None:
        self._failed_at: dict[int, float] = {}
        """When each digest failed last, the oldest first."""
        self._blame = 0.5
        self._blamed_at = 0.0

    @property
    def is_awake(self) -> bool:
        """Whether any call can be a suspect: else calls need not be looked at."""
        return bool(self._failed_at) or self._blame > 0.5

    @property
    def odd_ones_fail(self) -> bool:
        """Whether odd calls have failed lately, so that they had better go alone."""
        return self._blame > 0.5

    @property
    def odd_ones_may_fail(self) -> bool:
        """Whether it is worth a try to put a failure down to the odd calls."""
        return self._blame > 0.25

    def expire(self, now: float) -> None:
        """Forget what is a minute old."""
        old = now - _KEPT_S
        while self._failed_at:
            digest = next(iter(self._failed_at))
            if self._failed_at[digest] > old:
                break
            del self._failed_at[digest]
        if self._blamed_at <= old:
            self._blame = 0.5

    def __contains__(self, digest: int) -> bool:
        return digest in self._failed_at

    def failed(self, digest: int, now: float, *, is_odd: bool) -> None:
        """Remember a call that failed alone."""
        self._failed_at.pop(digest, None)
        self._failed_at[digest] = now
        if len(self._failed_at) > _MOST:
            del self._failed_at[next(iter(self._failed_at))]
        if is_odd:
            self._judge(1.0, now)

    def succeeded(self, digest: int, now: float, *, is_odd: bool) -> None:
        """Forget a call that succeeded alone."""
        self._failed_at.pop(digest, None)
        if is_odd:
            self._judge(0.0, now)

    def _judge(self, verdict: float, now: float) -> None:
        self._blame += _LEARNING_RATE * (verdict - self._blame)
        self._blamed_at = now
