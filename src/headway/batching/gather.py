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
closed; it opens only while arrivals crowd after a completion.
"""

import bisect
from typing import Final

from headway.batching.cost_model import CostModel

__all__ = ["GatherWindow"]

_EDGES: Final = [50e-6 * 2 ** (step / 2) for step in range(30)]
"""Seconds after a completion at which arrivals are counted: 50 us to 1.2 s."""
_LEARNING_RATE: Final = 0.1
_MARGIN: Final = 1.1
"""The gain must exceed the loss by this much, as both are estimates."""
_WARM_CYCLES: Final = 4
_SHORTEST_S: Final = 5e-6


class _Cycle:
    """Calls that arrived from one completion on, until the next but one."""

    __slots__ = ("answered", "counts", "started_at")

    def __init__(self, *, started_at: float, answered: int) -> None:
        self.started_at = started_at
        self.answered = answered
        self.counts = [0] * (len(_EDGES) + 1)

    def count(self, at: float, calls: int) -> None:
        self.counts[bisect.bisect_left(_EDGES, at - self.started_at)] += calls


class GatherWindow:
    """Learns how arrivals follow completions and prices a wait.

    Args:
        max_wait_s: Upper bound of a wait; None leaves it to the prices alone.
    """

    __slots__ = (
        "_call_rows",
        "_current",
        "_cycles",
        "_max_wait_s",
        "_previous",
        "_returns",
    )

    def __init__(self, *, max_wait_s: float | None) -> None:
        self._max_wait_s = max_wait_s
        self._returns = [0.0] * (len(_EDGES) + 1)
        self._call_rows = 1.0
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

    def arrived(self, calls: int, rows: int, at: float) -> None:
        """Count calls that were sent at `at`, and the rows that they have."""
        self._call_rows += _LEARNING_RATE * (rows / calls - self._call_rows)
        current = self._current
        if current is None:
            return
        if at >= current.started_at:
            current.count(at, calls)
        elif self._previous is not None and at >= self._previous.started_at:
            self._previous.count(at, calls)

    def _learn(self, cycle: _Cycle) -> None:
        self._cycles += 1
        rate = max(_LEARNING_RATE, 1 / self._cycles)
        for step, count in enumerate(cycle.counts):
            share = count / cycle.answered
            self._returns[step] += rate * (share - self._returns[step])

    def wait_until(
        self, *, waiting: int, room: int, start_s: float, cost: CostModel, now: float
    ) -> float | None:
        """Return until when to wait for more rows, or None to dispatch at once.

        Args:
            waiting: Rows that could go now.
            room: Rows that the batch could take besides.
            start_s: Seconds until another replica could take those who come later;
                the time of the batch itself if there is no other.
            cost: Prices the batches.
            now: Monotonic seconds.
        """
        cycle = self._current
        if self._max_wait_s == 0 or cycle is None or self._cycles < _WARM_CYCLES:
            return None
        elapsed = now - cycle.started_at
        longest = (
            start_s
            if self._max_wait_s is None
            else min(start_s, self._max_wait_s - elapsed)
        )
        best_gain, best_wait = 0.0, None
        # Those who have come already are not waited for again: a closed loop of which
        # everyone is back has nobody left, whatever the average says.
        left = cycle.answered * sum(self._returns) - sum(cycle.counts)
        if left <= 0:
            return None
        # A wait shorter than a timer can measure is over already.
        begin = bisect.bisect_right(_EDGES, elapsed + _SHORTEST_S)
        rows_each = cycle.answered * self._call_rows
        to_come = [rows_each * share for share in self._returns[begin:]]
        total = min(sum(to_come), left * self._call_rows)
        more = 0.0
        for step, rows in enumerate(to_come[: len(_EDGES) - begin]):
            wait = _EDGES[begin + step] - elapsed
            if wait > longest:
                break
            more += rows
            gathered = min(more, total, room)
            gain = _gain(
                waiting, gathered, max(total - gathered, 0.0), wait, start_s, cost
            )
            if gain > best_gain:
                best_gain, best_wait = gain, wait
        return None if best_wait is None else now + best_wait


def _gain(
    waiting: int,
    more: float,
    later: float,
    wait: float,
    start_s: float,
    cost: CostModel,
) -> float:
    """Return the seconds of latency that waiting saves, over all rows concerned."""
    together = cost.mean(round(waiting + more))
    saved = more * (start_s + cost.mean(round(more)) - wait - together)
    lost = waiting * (wait + together - cost.mean(waiting)) + later * wait
    return saved - _MARGIN * lost
