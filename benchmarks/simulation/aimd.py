"""A rival: Clipper's adaptive batch size, as in its paper.

It dispatches at once what is there, up to a size that grows by 1 with each full batch
until a batch takes longer than the latency objective, and then shrinks by a tenth.
What is past its deadline is dropped; the earliest due goes first, which is the oldest,
as all requests of a case are given the same time.
"""

from typing import Final

from benchmarks.simulation.policy import Drop, FifoQueue
from benchmarks.simulation.request import Batch, Request
from headway.scheduling.scheduler import Wait

__all__ = ["Aimd"]

_BACK_OFF: Final = 0.9


class Aimd:
    """Additive increase and multiplicative decrease of the size of a batch.

    Args:
        max_rows: Rows in a batch at the most.
        replicas: Batches at a time.
        objective_s: How long a batch may take.
    """

    __slots__ = ("_busy", "_max_rows", "_objective_s", "_queue", "_replicas", "_size")

    def __init__(self, *, max_rows: int, replicas: int, objective_s: float) -> None:
        self._max_rows = max_rows
        self._replicas = replicas
        self._objective_s = objective_s
        self._queue = FifoQueue()
        self._busy = 0
        self._size = 1.0

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the queue is full."""
        return self._queue.push(request)

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Dispatch what is there, up to the present size, to an idle replica."""
        if self._busy == self._replicas or not self._queue.rows:
            return None
        expired = self._queue.pop_expired(now)
        if expired:
            return Drop(expired)
        # A request that is larger than the size goes alone.
        most = max(int(self._size), self._queue.requests[0].rows)
        self._busy += 1
        return self._queue.pop_batch(most)

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Adapt the size."""
        self._busy -= 1
        if took_s > self._objective_s:
            self._size = max(self._size * _BACK_OFF, 1.0)
        elif batch.rows >= int(self._size):
            self._size = min(self._size + 1.0, float(self._max_rows))
