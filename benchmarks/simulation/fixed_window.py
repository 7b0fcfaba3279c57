"""Rivals with a fixed window, as Triton and mosec have it; a window of 0 never waits.

A batch goes out when it is full, or when its oldest request has waited for the window.
What is past its deadline when its turn comes is dropped (Triton's queue policy).
"""

from benchmarks.simulation.policy import Drop, FifoQueue
from benchmarks.simulation.request import Batch, Request
from headway.scheduling.scheduler import Wait

__all__ = ["FixedWindow"]


class FixedWindow:
    """Dispatches full batches, or what has come within the window.

    Args:
        max_rows: Rows in a batch at the most.
        replicas: Batches at a time.
        window_s: How long the oldest request waits for others; 0 for not at all.
    """

    __slots__ = ("_busy", "_max_rows", "_queue", "_replicas", "_window_s")

    def __init__(self, *, max_rows: int, replicas: int, window_s: float) -> None:
        self._max_rows = max_rows
        self._replicas = replicas
        self._window_s = window_s
        self._queue = FifoQueue()
        self._busy = 0

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the queue is full."""
        return self._queue.push(request)

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Dispatch to an idle replica when full or when the window is over."""
        if self._busy == self._replicas or not self._queue.rows:
            return None
        expired = self._queue.pop_expired(now)
        if expired:
            return Drop(expired)
        if self._queue.rows < self._max_rows:
            until = self._queue.requests[0].arrived_at + self._window_s
            if now < until:
                return Wait(until)
        self._busy += 1
        return self._queue.pop_batch(self._max_rows)

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Count the replica as idle."""
        self._busy -= 1
