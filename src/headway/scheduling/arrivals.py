"""What the scheduler learns from arrivals: when to wait for more, and how much load.

GatherWindow: whether the clients that were just answered are worth waiting for.
ReplicaStagger: whether several replicas should start one after the other.
OfferedLoad: the work that arrives. OverloadDetector: whether a queue persists.
scheduling/scheduler calls all of them; they read the cost model and nothing else.
"""

import bisect
import math
from itertools import accumulate
from typing import Final

from headway.scheduling.cost_model import CostModel

_EDGES: Final = [20e-6 * 2 ** (step / 4) for step in range(64)]
"""Seconds after a completion at which arrivals are counted: 20 us to 1.1 s."""
_LEARNING_RATE: Final = 0.1
_MARGIN: Final = 1.1
"""The gain must exceed the loss by this factor, as both are estimates."""
_WARM_CYCLES: Final = 4
_SHORTEST_S: Final = 5e-6
_FEW: Final = 0.005
"""Share of the returning calls below which a moment is not considered."""
_TRY_EVERY: Final = 32
"""A stagger that brought no rows lately is tried again this often."""
_LOAD_MEMORY_S: Final = 0.5
"""Older arrivals have faded to a third: long enough to average out single batches."""
_SHORT: Final = 0.25
"""Share of a request's time budget up to which a queue counts as none."""
_BURST_BUDGETS: Final = 2.0
"""A queue may stem from a burst for this multiple of a request's time budget.

After n times that, it counts n times. Rows rejected that could have been served once
the overload ends are less than a tenth of the rows served during it.
"""
_CAUTION: Final = 1.4


class _Cycle:
    """Calls that arrived between one completion and the next but one."""

    __slots__ = ("answered", "came", "counts", "started_at", "until")

    def __init__(self, started_at: float, answered: int) -> None:
        self.started_at = started_at
        self.answered = answered
        self.came = 0
        self.counts = [0] * (len(_EDGES) + 1)
        self.until: float | None = -math.inf
        """Until when to wait, as last planned; None for no wait."""


class GatherWindow:
    """Learns how arrivals follow completions, and prices a wait for more rows.

    Closed-loop clients send again soon after their answer. A batch that starts before
    they are back splits them into two half-batches that take turns.

    Returning calls are counted in calls, as a client sends one for each answer; they
    are priced in rows. With q rows waiting, r more expected within w, l more that come
    later but before the next batch, and S(n) the time of n rows, waiting changes the
    sum of latencies by

        r * (start + S(r) - w - S(q + r))    rows waited for: start is when the next
                                             replica would be free for them
        - q * (w + S(q + r) - S(q))          rows that wait and share a larger batch
        - l * w                              rows whose batch starts later

    For arrivals that do not follow completions the three cancel out and the window
    stays closed; it opens only while arrivals crowd after a completion. Planning costs
    more than the rest of a decision, so that the plan is made once for each completion.
    The batch starts earlier if all expected calls are back.

    Args:
        max_wait_s: Upper bound of a wait; None for no bound.
    """

    def __init__(self, *, max_wait_s: float | None) -> None:
        self._max_wait_s = max_wait_s
        self._returns = [0.0] * (len(_EDGES) + 1)
        self._call_rows = 1.0
        self._lag_s = 0.0
        self._cycles = 0
        self._previous: _Cycle | None = None
        self._current: _Cycle | None = None

    def completed(self, answered: int, now: float) -> None:
        """Begin a cycle: `answered` calls got their answers."""
        if self._max_wait_s == 0 or not answered:
            return  # a part of a split call sends nobody back
        if self._previous is not None:
            self._learn(self._previous)
        # Arrivals are stamped where they are sent and seen up to a batch later, so a
        # cycle is learned from only when the next one is over.
        self._previous = self._current
        self._current = _Cycle(now, answered)

    def arrived(
        self, *, calls: int, rows: int, at: float, seen_at: float | None = None
    ) -> None:
        """Count calls.

        Args:
            calls: Number of calls.
            rows: Rows of all of them.
            at: When they were sent.
            seen_at: When they were received, if a replica was idle then. A busy runner
                reads its sockets only after its batch, which says nothing.
        """
        self._call_rows += _LEARNING_RATE * (rows / calls - self._call_rows)
        cycle = self._current
        if cycle is None:
            return
        if at < cycle.started_at:
            cycle = self._previous
            if cycle is None or at < cycle.started_at:
                return
        elif seen_at is not None:
            self._lag_s += _LEARNING_RATE * (seen_at - at - self._lag_s)
        cycle.came += calls
        delay_s = at - cycle.started_at + self._lag_s
        cycle.counts[bisect.bisect_left(_EDGES, delay_s)] += calls

    def _learn(self, cycle: _Cycle) -> None:
        self._cycles += 1
        rate = max(_LEARNING_RATE, 1 / self._cycles)
        keep, share = 1 - rate, rate / cycle.answered
        self._returns = [
            keep * old + share * count
            for old, count in zip(self._returns, cycle.counts, strict=True)
        ]

    def wait_until(
        self, rows: int, room: int, start_s: float, cost: CostModel, now: float
    ) -> float | None:
        """Return until when to wait for more rows, or None to dispatch at once.

        Args:
            rows: Rows that could start now.
            room: Rows that the batch could take besides.
            start_s: Seconds until another replica could take later rows; the time of
                the batch itself if there is no other replica.
            cost: Prices the batches.
            now: Monotonic seconds.
        """
        cycle = self._current
        if self._max_wait_s == 0 or cycle is None or self._cycles < _WARM_CYCLES:
            return None
        # Calls that came already are not waited for again: when every client of a
        # closed loop is back, none is left, whatever the average says.
        left = cycle.answered * sum(self._returns, start=0.0) - cycle.came
        if left <= 0:
            return None
        if cycle.until is not None and now >= cycle.until:
            wait = self._plan(cycle, left, (rows, room, start_s), cost, now)
            cycle.until = None if wait is None else now + wait
        return cycle.until

    def _plan(
        self,
        cycle: _Cycle,
        left: float,
        waiting: tuple[int, int, float],
        cost: CostModel,
        now: float,
    ) -> float | None:
        """Return the seconds of the wait that gains most; None if none gains."""
        rows, room, start_s = waiting
        elapsed = now - cycle.started_at
        longest = start_s
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
            more = min(cycle.answered * self._call_rows * share, total, float(room))
            together = cost.mean(round(rows + more))
            saved = more * (start_s + cost.mean(round(more)) - wait - together)
            lost = rows * (wait + together - cost.mean(rows)) + (total - more) * wait
            gain = saved - _MARGIN * lost
            if gain > best_gain:
                best_gain, best_wait = gain, wait
        return best_wait


class ReplicaStagger:
    """Several replicas: how long to gather so that batches start evenly spaced.

    If every idle replica took the waiting rows, however few, they would occupy all
    replicas, and the rest would wait until all finish at about the same time. The mean
    wait is least when replicas start one after the other, each with its share of the
    arrivals. If so few clients are active that each has a replica to itself, no rows
    arrive while a replica is idle, whatever the rate: such waits are given up.
    """

    def __init__(self) -> None:
        self._held_rows = 0
        self._joined = 1.0
        """Share of the waits in which rows came."""
        self._skipped = 0

    def wait_until(
        self,
        waiting: int,
        cap: int,
        oldest_at: float,
        rows_per_s: float,
        replicas: int,
        cost: CostModel,
        now: float,
    ) -> float | None:
        """Return until when to wait for a share of the rows, or None for no wait.

        A share is the smallest n for which batches of n rows on all replicas serve
        `rows_per_s`.

        Args:
            waiting: Rows that could start now.
            cap: Largest batch.
            oldest_at: When the first of them arrived.
            rows_per_s: Rows that arrive.
            replicas: Replicas that are up.
            cost: S(n).
            now: Monotonic seconds.
        """
        share = cost.fewest_rows(rows_per_s / replicas, cap)
        until = oldest_at + share / rows_per_s if rows_per_s > 0.0 else now
        # A batch smaller than any observed one is tried: it may be a share.
        if waiting >= share or waiting < cost.smallest or until <= now:
            if self._held_rows:
                joined = waiting > self._held_rows
                self._joined += _LEARNING_RATE * (joined - self._joined)
                self._held_rows = 0
            return None
        if not self._held_rows:
            if self._joined < 0.5:
                self._skipped += 1
                if self._skipped % _TRY_EVERY:
                    return None
            self._held_rows = waiting
        return until


class OfferedLoad:
    """The work that arrives: seconds of model time per second, exponentially fading."""

    def __init__(self) -> None:
        self._work_s = 0.0
        self._at = 0.0

    def add(self, work_s: float, now: float) -> None:
        """Count work that arrived at `now`, in seconds of one replica."""
        self._fade(now)
        self._work_s += work_s

    def load(self, now: float) -> float:
        """Return the number of replicas that the arrivals would keep busy."""
        self._fade(now)
        return self._work_s / _LOAD_MEMORY_S

    def _fade(self, now: float) -> None:
        if now > self._at:
            self._work_s *= math.exp((self._at - now) / _LOAD_MEMORY_S)
            self._at = now


class OverloadDetector:
    """How much longer than predicted the queue delay counts as for refusals.

    Always somewhat longer, as the model may become slower meanwhile. Much longer once
    the queue persists: a burst deserves a long queue, as all of it is answered by its
    deadline in the end; under a lasting overload a long queue serves no more requests
    than a short one and makes all of them wait. The longer the queue has persisted,
    the more it counts; only the next batch always counts once.
    """

    def __init__(self) -> None:
        self._short_at = float("-inf")
        self._longest_s = 0.0
        """The largest time budget of a request since; small budgets say nothing."""
        self.factor = _CAUTION
        """Multiplier on the time of the batches before the next."""

    def observe(self, answer_s: float, budget_s: float, now: float) -> None:
        """Learn from the queue that a request meets.

        Args:
            answer_s: Seconds after which it would be answered.
            budget_s: Seconds until it is due.
            now: Monotonic seconds.
        """
        if answer_s <= _SHORT * budget_s or self._short_at == float("-inf"):
            self._short_at = now
            self._longest_s = 0.0
        self._longest_s = max(self._longest_s, budget_s)
        standing_s = now - self._short_at
        burst_s = _BURST_BUDGETS * self._longest_s
        self.factor = _CAUTION * max(standing_s / burst_s, 1.0)
