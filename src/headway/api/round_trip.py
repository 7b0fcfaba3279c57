"""What the way to a runner and back takes, besides the runner's own time.

api/runner_client learns it from answers, and sets so much of each deadline aside.
"""

__all__ = ["RoundTripEstimator"]

_LEARNING_RATE = 0.05
_DEVIATIONS = 3.0
_MOST = 0.1
"""Share of the time left that may be set aside."""


class RoundTripEstimator:
    """The mean of what was seen, and the deviation from it."""

    __slots__ = ("_deviation_s", "_mean_s")

    def __init__(self) -> None:
        self._mean_s = self._deviation_s = 0.0

    def learn(self, took_s: float) -> None:
        """Take note of what one answer took."""
        error = took_s - self._mean_s
        self._mean_s += _LEARNING_RATE * error
        self._deviation_s += _LEARNING_RATE * (abs(error) - self._deviation_s)

    def reserve_s(self, left_s: float) -> float:
        """Return the part of the time left that the way to and fro will take."""
        return min(self._mean_s + _DEVIATIONS * self._deviation_s, _MOST * left_s)
