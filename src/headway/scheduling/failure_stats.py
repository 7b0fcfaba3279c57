"""What a method's failures have been like: how dear they are, and how frequent.

scheduling/failure_search asks it how many calls to try together; runner/isolation tells
it of
every try.
"""

import math

__all__ = ["FailureStats"]

_LEARNING_RATE = 0.2
_CHEAPEST = 0.02
"""Below this, what it costs to put a batch together outweighs what the model takes."""
_WINDOW_CALLS = 256
"""Once so many calls are remembered, all of them count half."""


class FailureStats:
    """The relative cost of a failure, and the rate of calls that fail by themselves.

    A try that fails tells something and answers nobody; one that succeeds does both. If
    it costs 1 to succeed and r to fail, most is learned for the time when the two have
    the probabilities x and x**r, with x + x**r = 1: so a channel whose symbols take
    different times is used best (Shannon, A Mathematical Theory of Communication, 1948,
    section 1). For r = 1 this is halving. A model that raises at once has a small r:
    large parts are tried. After a batch of n calls failed, the mean cost to find its
    one bad call and answer all others, in successful calls (tests/batching):

        n              32                64                100
        r        rule  halving     rule  halving     rule  halving
        0.02      2.3      5.1      2.6      6.1      2.8      6.9
        0.1       3.1      5.5      3.5      6.6      3.7      7.4
        0.3       4.1      6.5      4.7      7.8      5.1      8.7
        1         6.5     10.0      7.5     12.0      8.4     13.4

    Halving tries both halves of whatever failed. Where r does not matter, the rule
    gains by not trying a half that must fail, and by joining what is left of several.
    """

    __slots__ = (
        "_calls",
        "_failure_s",
        "_success_s",
        "bad",
        "failing_share",
        "failure_cost",
    )

    def __init__(self) -> None:
        self.failure_cost = 1.0
        """What a failure costs over a success; 1 as long as either is unknown."""
        self.failing_share = 0.5
        """The best probability of failure for a try: x**r."""
        self._success_s = 0.0
        self._failure_s = 0.0
        # Half a window of good calls, so that the first bad one is not the rule.
        self._calls = _WINDOW_CALLS / 2
        self.bad = 0.0
        """How many of those remembered had to be computed alone."""

    def timed(self, seconds: float, *, succeeded: bool) -> None:
        """Learn what a try took; only of whole batches, so that the sizes compare."""
        if succeeded:
            self._success_s = _moved(self._success_s, seconds)
            return
        self._failure_s = _moved(self._failure_s, seconds)
        if self._success_s:
            ratio = self._failure_s / self._success_s
            self.failure_cost = min(max(ratio, _CHEAPEST), 1.0)
            self.failing_share = _failing_share(self.failure_cost)

    def settled(self, calls: int, *, bad: int) -> None:
        """Learn how many of some calls had to be computed alone."""
        self._calls += calls
        self.bad += bad
        if self._calls > _WINDOW_CALLS:
            self._calls /= 2
            self.bad = self.bad / 2 if self.bad > 0.5 else 0.0

    def most(self) -> int:
        """Return how many calls of which nothing is known fail with that probability.

        For r = 1, it is a single one if more than 38 in 100 calls are bad.
        """
        if not self.bad:
            return 1 << 30
        rate = self.bad / self._calls
        if rate >= 1:
            return 1
        return max(round(math.log(1 - self.failing_share) / math.log1p(-rate)), 1)


def _failing_share(cost: float) -> float:
    """Return 1 - x, where x + x**cost = 1."""
    low, high = 0.0, 0.5
    for _ in range(20):
        middle = (low + high) / 2
        if middle + middle**cost < 1:
            low = middle
        else:
            high = middle
    return 1 - high


def _moved(mean: float, value: float) -> float:
    return mean + _LEARNING_RATE * (value - mean) if mean else value
