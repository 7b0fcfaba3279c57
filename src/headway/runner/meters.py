"""What a runner counts about its queue and its batches.

The dispatcher calls it; the metrics registry keeps the numbers.
"""

from headway.metrics import Counter, Histogram, MetricsRegistry
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    CANCELLED_ROWS,
    INFERENCE_SECONDS,
    QUEUE_ROWS,
    QUEUE_WAIT_SECONDS,
    REFUSED,
    RUNNER_ROWS,
)
from headway.runner.batch import Batch

__all__ = ["RunnerMeters"]


class _MethodMeters:
    __slots__ = ("batch_rows", "inference", "queue_wait", "rows")

    def __init__(self, registry: MetricsRegistry, runner: str, method: str) -> None:
        labels = (runner, method)
        self.batch_rows: Histogram = registry.histogram(BATCH_SIZE_ROWS, labels)
        self.queue_wait: Histogram = registry.histogram(QUEUE_WAIT_SECONDS, labels)
        self.inference: Histogram = registry.histogram(INFERENCE_SECONDS, labels)
        self.rows: Counter = registry.counter(RUNNER_ROWS, labels)


class RunnerMeters:
    """The meters of one runner.

    Args:
        registry: Keeps the numbers.
        runner: Its name.
        methods: Names of its methods.
    """

    def __init__(
        self, *, registry: MetricsRegistry, runner: str, methods: list[str]
    ) -> None:
        self._registry = registry
        self.queue_rows = registry.gauge(QUEUE_ROWS, (runner,))
        self.cancelled_rows = registry.counter(CANCELLED_ROWS, (runner,))
        self._methods = {
            method: _MethodMeters(registry, runner, method) for method in methods
        }

    def refused(self, reason: str, calls: int) -> None:
        """Count calls that were refused or dropped unserved."""
        self._registry.counter(REFUSED, (reason,)).add(calls)

    def batch_done(self, batch: Batch, started_at: float, took_s: float) -> None:
        """Count a batch that was computed."""
        meters = self._methods[batch.key.method]
        meters.batch_rows.observe(batch.rows)
        meters.inference.observe(took_s)
        meters.rows.add(batch.rows)
        for piece in batch.pieces:
            # One observation for each cohort, as its calls arrived together.
            meters.queue_wait.observe(max(started_at - piece.cohort.arrived_at, 0.0))
