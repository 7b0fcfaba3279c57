"""What a run is judged by: counts over all of it, times over its measured part.

The engine reports to it; results.py makes a record of it.
"""

import math
from array import array
from collections import Counter

from benchmarks.simulation.request import Request

__all__ = ["Meter"]


class Meter:
    """Counts what became of the requests.

    Args:
        begin_s: Start of the measured part; before it is warm-up.
        end_s: End of the measured part, at which the traffic ends.
    """

    __slots__ = (
        "answered",
        "batch_rows",
        "batches",
        "begin_s",
        "dropped",
        "end_s",
        "good_rows",
        "held_s",
        "latencies",
        "offered",
        "offered_by_class",
        "overdue",
        "refused",
        "served_by_class",
    )

    def __init__(self, *, begin_s: float, end_s: float) -> None:
        self.begin_s = begin_s
        self.end_s = end_s
        self.offered = self.answered = self.refused = self.dropped = 0
        self.overdue = 0
        """Measured requests that were answered past their deadline."""
        self.latencies = array("d")
        """Of the measured requests that were answered."""
        self.good_rows = 0
        """Rows of measured requests that were answered by their deadline."""
        self.batches = self.batch_rows = 0
        self.held_s = 0.0
        """Seconds that a replica stood idle while something waited."""
        self.offered_by_class: Counter[int] = Counter()
        self.served_by_class: Counter[int] = Counter()

    def offer(self, request: Request) -> None:
        """Count a request that came."""
        self.offered += 1
        if request.arrived_at >= self.begin_s:
            self.offered_by_class[request.priority] += 1

    def answer(self, request: Request, now: float) -> None:
        """Count an answer; it is measured if it comes in the measured part."""
        self.answered += 1
        if not self.begin_s <= now < self.end_s:
            return
        self.latencies.append(now - request.arrived_at)
        if now > request.due:
            self.overdue += 1
            return
        self.good_rows += request.rows
        self.served_by_class[request.priority] += 1

    def refuse(self, request: Request) -> None:
        """Count a request that was turned away when it came."""
        self.refused += 1

    def drop(self, request: Request) -> None:
        """Count a request that was turned away later."""
        self.dropped += 1

    def start(self, rows: int, now: float) -> None:
        """Count a batch."""
        if self.begin_s <= now < self.end_s:
            self.batches += 1
            self.batch_rows += rows

    def hold(self, since: float, now: float) -> None:
        """Count the time for which a replica stood idle while something waited."""
        self.held_s += max(min(now, self.end_s) - max(since, self.begin_s), 0.0)

    @property
    def measured_s(self) -> float:
        """Seconds of the measured part."""
        return self.end_s - self.begin_s

    @property
    def goodput(self) -> float:
        """Rows per second that were answered by their deadline."""
        return self.good_rows / self.measured_s

    @property
    def mean_latency_s(self) -> float:
        """Mean over all measured answers."""
        if not self.latencies:
            return math.nan
        return math.fsum(self.latencies) / len(self.latencies)
