"""What an API worker counts about the requests of one endpoint.

api/endpoint calls it; the metrics registry keeps the numbers.
"""

import asyncio

from headway.metrics import Counter, MetricsRegistry
from headway.metrics.families import (
    REQUEST_DURATION,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
)

__all__ = ["EndpointMeters"]


class EndpointMeters:
    """The meters of one endpoint.

    What one turn of the event loop answers is noted, and counted at its end together:
    at full load that is a quarter of the cost (benchmarks/micro/bench_edge.py).

    Args:
        registry: Keeps the numbers.
        endpoint: Its route.
        loop: Counts.

    Attributes:
        serving: Requests in progress.
        answers: Status and seconds of each answer of this turn.
        is_due: Whether they will be counted; whoever changes them calls `touch` if not.
    """

    __slots__ = (
        "_by_status",
        "_duration",
        "_endpoint",
        "_in_progress",
        "_loop",
        "_registry",
        "answers",
        "is_due",
        "serving",
    )

    def __init__(
        self,
        *,
        registry: MetricsRegistry,
        endpoint: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._registry = registry
        self._endpoint = endpoint
        self._loop = loop
        self._by_status: dict[int, Counter] = {}
        self._duration = registry.histogram(REQUEST_DURATION, (endpoint,))
        self._in_progress = registry.gauge(REQUESTS_IN_PROGRESS, (endpoint,))
        self.answers: list[tuple[int, float]] = []
        self.is_due = False
        self.serving = 0

    def touch(self) -> None:
        """See to it that what changed is counted when this turn ends."""
        self.is_due = True
        self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.is_due = False
        self._in_progress.set(self.serving)
        answers, self.answers = self.answers, []
        if not answers:
            return
        statuses, seconds = zip(*answers, strict=True)
        self._duration.observe_all(seconds)
        if statuses.count(statuses[0]) == len(statuses):
            self._counter(statuses[0]).add(len(statuses))
        else:
            for status in statuses:
                self._counter(status).add()

    def _counter(self, status: int) -> Counter:
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._registry.counter(
                REQUESTS, (self._endpoint, str(status))
            )
        return counter
