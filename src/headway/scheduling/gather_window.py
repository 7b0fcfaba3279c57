"""The gather window: how long waiting for more rows would pay for itself.

Closed-loop clients send again soon after they were answered. A batch that goes out
before they are back splits them into two half-batches that take turns. The scheduler
asks here, whenever it could dispatch, whether those who were just answered are worth
waiting for; this module learns from every batch when and how many come back.

What comes back is counted in calls, as a client sends one for each answer, however
many rows it has; it is priced in rows. With q rows waiting, r more expected within w, l
more that come later but before the next batch, and S(n) the time of n rows, the sum of
latencies changes by waiting as

    r * (start + S(r) - w - S(q + r))      those waited for: start is when the next
                                           replica would be free for them
    - q * (w + S(q + r) - S(q))            those who wait and share a larger batch
    - l * w                                those whose batch starts later

For arrivals that do not follow completions the three cancel out and the window stays
closed; it opens only while arrivals crowd after a completion. The plan is made once for
each completion and kept, as it costs more than the rest of a decision; the batch goes
earlier if all who were expected are back.
"""

import bisect
from itertools import accumulate
from typing import Final

import msgspec

from headway.scheduling.cost_model import CostModel

__all__ = ["GatherWindow", "Waiting"]

_EDGES: Final = [20e-6 * 2 ** (step / 4) for step in range(64)]
"""Seconds after a completion at which arrivals are counted: 20 us to 1.1 s."""
_LEARNING_RATE: Final = 0.1
_MARGIN: Final = 1.1
"""The gain must exceed the loss by this much, as both are estimates."""
_WARM_CYCLES: Final = 4
_SHORTEST_S: Final = 5e-6
_FEW: Final = 0.005
"""Share of the returning calls that is no reason to look at a moment."""


class Waiting(msgspec.Struct, frozen=True):
    """What could go now."""

    rows: int
    room: int
    """Rows that the batch could take besides."""
    start_s: float
    """Seconds until another replica could take those who come later; the time of the
    batch itself if there is no other."""


class _Cycle:
    """Calls that arrived from one completion on, until the next but one."""

    __slots__ = ("answered", "came", "counts", "is_planned", "started_at", "until")

    def __init__(self, *, started_at: float, answered: int) -> None:
        self.started_at = started_at
        self.answered = answered
        self.came = 0
        self.counts = [0] * (len(_EDGES) + 1)
        self.is_planned = False
        self.until: float | None = None

    def count(self, delay_s: float, calls: int) -> None:
        self.came += calls
        self.counts[bisect.bisect_left(_EDGES, delay_s)] += calls


class GatherWindow:
    """Learns how arrivals follow completions and prices a wait.

    Args:
        max_wait_s: Upper bound of a wait; None leaves it to the prices alone.
    """

    __slots__ = (
        "_call_rows",
        "_current",
        "_cycles",
        "_lag_s",
        "_max_wait_s",
        "_previous",
        "_returns",
    )

    def __init__(self, *, max_wait_s: float | None) -> None:
        self._max_wait_s = max_wait_s
        self._returns = [0.0] * (len(_EDGES) + 1)
        self._call_rows = 1.0
        self._lag_s = 0.0
        self._cycles = 0
        self._previous: _Cycle | None = None
        self._current: _Cycle | None = None

    def completed(self, answered: int, now: float) -> None:
        """Begin a cycle: so many calls were answered at `now`."""
        if self._max_wait_s == 0 or not answered:
            return  # a part of a split call sends nobody back
        if self._previous is not None:
            self._learn(self._previous)
        # Arrivals are stamped where they are sent and seen up to a batch later, so a
        # cycle is learned from only when the next one is over.
        self._previous = self._current
        self._current = _Cycle(started_at=now, answered=answered)

    def arrived(
        self, *, calls: int, rows: int, at: float, seen_at: float | None = None
    ) -> None:
        """Count calls.

        Args:
            calls: How many.
            rows: Rows that they have together.
            at: When they were sent.
            seen_at: When they were here, if a replica could have taken them then; a
                busy runner looks only after its batch, which says nothing.
        """
        self._call_rows += _LEARNING_RATE * (rows / calls - self._call_rows)
        current = self._current
        if current is None:
            return
        if at >= current.started_at:
            if seen_at is not None:
                self._lag_s += _LEARNING_RATE * (seen_at - at - self._lag_s)
            current.count(at - current.started_at + self._lag_s, calls)
        elif self._previous is not None and at >= self._previous.started_at:
            delay_s = at - self._previous.started_at + self._lag_s
            self._previous.count(delay_s, calls)

    def _learn(self, cycle: _Cycle) -> None:
        self._cycles += 1
        rate = max(_LEARNING_RATE, 1 / self._cycles)
        keep, share = 1 - rate, rate / cycle.answered
        self._returns = [
            keep * old + share * count
            for old, count in zip(self._returns, cycle.counts, strict=True)
        ]

    def wait_until(self, waiting: Waiting, cost: CostModel, now: float) -> float | None:
        """Return until when to wait for more rows, or None to dispatch at once.

        Args:
            waiting: What could go now.
            cost: Prices the batches.
            now: Monotonic seconds.
        """
        cycle = self._current
        if self._max_wait_s == 0 or cycle is None or self._cycles < _WARM_CYCLES:
            return None
        # Those who have come already are not waited for again: a closed loop of which
        # everyone is back has nobody left, whatever the average says.
        left = cycle.answered * sum(self._returns, start=0.0) - cycle.came
        if left <= 0:
            return None
        if not cycle.is_planned or (cycle.until is not None and now >= cycle.until):
            cycle.is_planned = True
            cycle.until = self._plan(cycle, left, waiting, cost, now)
        return cycle.until

    def _plan(
        self,
        cycle: _Cycle,
        left: float,
        waiting: Waiting,
        cost: CostModel,
        now: float,
    ) -> float | None:
        elapsed = now - cycle.started_at
        longest = waiting.start_s
        if self._max_wait_s is not None:
            longest = min(longest, self._max_wait_s - elapsed)
        # A wait shorter than a timer can measure is over already.
        begin = bisect.bisect_right(_EDGES, elapsed + _SHORTEST_S)
        to_come = self._returns[begin:]
        total = min(cycle.answered * sum(to_come, start=0.0), left) * self._call_rows
        few = _FEW * sum(self._returns, start=0.0)
        best_gain, best_wait = 0.0, None
        for step, share in enumerate(accumulate(to_come[: len(_EDGES) - begin])):
            wait = _EDGES[begin + step] - elapsed
            if wait > longest:
                break
            if to_come[step] < few:
                continue
            more = min(cycle.answered * self._call_rows * share, total)
            gathered = min(more, waiting.room)
            gain = _gain(waiting, gathered, total - gathered, wait, cost)
            if gain > best_gain:
                best_gain, best_wait = gain, wait
        return None if best_wait is None else now + best_wait


def _gain(
    waiting: Waiting, more: float, later: float, wait: float, cost: CostModel
) -> float:
    """Return the seconds of latency that waiting saves, over all rows concerned."""
    rows = waiting.rows
    together = cost.mean(round(rows + more))
    saved = more * (waiting.start_s + cost.mean(round(more)) - wait - together)
    lost = rows * (wait + together - cost.mean(rows)) + later * wait
    return saved - _MARGIN * lost
