"""Which calls of a batch to compute together next, after some of them failed.

runner/isolation makes one for each batch, computes what it names and says what came.
"""

from collections.abc import Collection, Sequence

from headway.scheduling.failure_stats import FailureStats

__all__ = ["Search"]


class Search:
    """Finds the calls that fail alone, and has every other one succeed.

    Calls are tried in order. After a failure, a part of the failed ones is tried. If
    it succeeds, a bad call is in the other part, which is split on. If it fails, nobody
    has tried the other part: it goes with all that comes after it. FailureStats says
    how large
    the parts are. So that n calls never cost more than 2 n successful calls of the
    model would, they go one by one from where the bound can be met only so.

    Args:
        calls: Indices.
        odds: What is known of the method; told how this ends.
    """

    __slots__ = ("_bad", "_budget", "_odds", "_test", "_waiting")

    def __init__(self, calls: Sequence[int], odds: FailureStats) -> None:
        self._waiting = list(calls)
        self._bad = 0
        """Of the first so many of those that wait, one at least is bad."""
        self._test = 0
        self._odds = odds
        self._budget = float(len(calls))
        """What it may cost over one for each call that waits."""

    def next(self) -> list[int]:
        """Return the calls to compute together now; none if all are answered."""
        if self._budget < 1:
            self._test = 1
        elif self._bad:
            part = round(self._bad * self._odds.failing_share)
            self._test = max(min(part, self._bad - 1), 1)
        else:
            self._test = self._odds.most()
        test = self._waiting[: self._test]
        self._test = len(test)
        return test

    def succeeded(self) -> None:
        """Take note that those that `next` named are answered."""
        self._budget += self._test - 1
        # Whoever was held for the bad one counts: maybe no large batch succeeds.
        self._odds.settled(self._test, bad=int(self._bad == 1))
        del self._waiting[: self._test]
        self._bad = max(self._bad - self._test, 0)

    def failed(self, apart: Collection[int] = ()) -> None:
        """Take note that those that `next` named failed.

        Args:
            apart: Those among them that the failure is put down to: no longer this
                search's concern, as long as the others succeed.
        """
        self._budget -= self._odds.failure_cost
        if apart:
            gone = set(apart)
            self._waiting = [call for call in self._waiting if call not in gone]
            self._bad = 0
        elif self._test == 1:
            self._odds.settled(1, bad=1)
            self._budget += 1
            del self._waiting[0]
            self._bad = 0
        else:
            self._bad = self._test
