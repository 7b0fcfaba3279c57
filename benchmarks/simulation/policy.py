"""What the engine asks of a batching policy, and the queue that the rivals share.

Its shape is that of headway.scheduling.scheduler.Scheduler: `arrive`, `schedule` and
`update`.
"""

from collections import deque
from typing import Final, Protocol

from benchmarks.simulation.request import Batch, Request
from headway.config.schema import BatchingConfig
from headway.scheduling.scheduler import Wait

__all__ = ["Drop", "FifoQueue", "Policy"]

_MAX_QUEUE_ROWS: Final = BatchingConfig().max_queue_rows


class Drop:
    """Answer these requests with an error, unserved."""

    __slots__ = ("requests",)

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests


class Policy(Protocol):
    """Decides when which requests go out as a batch."""

    def arrive(self, request: Request, now: float) -> bool:
        """Take a request; False refuses it at once."""

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Return what to do now; None until something happens.

        The engine calls it again after a Batch, which occupies a replica until
        `update`, and after a Drop.
        """

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Note that a batch is done, and how long it took."""


class FifoQueue:
    """Requests in order of arrival, as many rows at the most as Headway's queue."""

    __slots__ = ("requests", "rows")

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.rows = 0

    def push(self, request: Request) -> bool:
        """Add a request, unless the queue is full."""
        if self.rows + request.rows > _MAX_QUEUE_ROWS:
            return False
        self.requests.append(request)
        self.rows += request.rows
        return True

    def pop(self) -> Request:
        """Take out the oldest."""
        request = self.requests.popleft()
        self.rows -= request.rows
        return request

    def pop_expired(self, now: float) -> list[Request]:
        """Take out the oldest as long as they are past their deadline."""
        expired = []
        while self.requests and self.requests[0].due <= now:
            expired.append(self.pop())
        return expired

    def pop_batch(self, max_rows: int) -> Batch:
        """Take out the oldest that fit into a batch together."""
        requests, rows = [], 0
        waiting = self.requests
        while waiting and rows + waiting[0].rows <= max_rows:
            rows += waiting[0].rows
            requests.append(waiting.popleft())
        self.rows -= rows
        return Batch(requests, rows)
