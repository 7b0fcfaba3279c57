"""The optimum as a contender: it does what the solved decision process says.

Run on the same arrivals as the others, it shows what they could have reached, with the
same luck; what it reaches on average is known exactly.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.simulation.policy import Drop, FifoQueue
from benchmarks.simulation.request import Batch, Request
from headway.scheduling.scheduler import Wait

__all__ = ["Optimal"]

_LONGEST_GAP: Final = 50.0
"""Mean gaps between arrivals after which it is certain that no more come."""


class Optimal:
    """Serves as many rows as a table says, for one replica and single rows.

    Args:
        batch_rows: What to serve when so many rows wait; 0 is to wait for one more.
        rate: Arrivals per second.
    """

    __slots__ = ("_batch_rows", "_gap_s", "_is_busy", "_latest_at", "_queue")

    def __init__(self, *, batch_rows: Sequence[int], rate: float) -> None:
        self._batch_rows = batch_rows
        self._gap_s = _LONGEST_GAP / rate
        self._queue = FifoQueue()
        self._is_busy = False
        self._latest_at = 0.0

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the queue is full."""
        self._latest_at = now
        return self._queue.push(request)

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Do what the table says."""
        waiting = self._queue.rows
        if self._is_busy or not waiting:
            return None
        rows = self._batch_rows[min(waiting, len(self._batch_rows) - 1)]
        over_at = self._latest_at + self._gap_s
        if not rows and now < over_at:
            return Wait(over_at)
        self._is_busy = True
        return self._queue.pop_batch(rows or waiting)

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Note that the replica is idle."""
        self._is_busy = False
