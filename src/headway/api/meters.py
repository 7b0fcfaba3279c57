"""What an API worker counts about the requests of one endpoint.

api/handler calls it; the metrics registry keeps the numbers.
"""

from headway.metrics import Counter, MetricsRegistry
from headway.metrics.families import (
    REQUEST_DURATION,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
)

__all__ = ["EndpointMeters"]


class EndpointMeters:
    """The meters of one endpoint.

    Args:
        registry: Keeps the numbers.
        endpoint: Its route.
    """

    __slots__ = ("_by_status", "_duration", "_endpoint", "_registry", "in_progress")

    def __init__(self, *, registry: MetricsRegistry, endpoint: str) -> None:
        self._registry = registry
        self._endpoint = endpoint
        self._by_status: dict[int, Counter] = {}
        self._duration = registry.histogram(REQUEST_DURATION, (endpoint,))
        self.in_progress = registry.gauge(REQUESTS_IN_PROGRESS, (endpoint,))

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._registry.counter(
                REQUESTS, (self._endpoint, str(status))
            )
        counter.add()
        self._duration.observe(seconds)
