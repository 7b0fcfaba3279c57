"""What a runner counts about its queue, its batches and its replicas.

The dispatcher calls it; the metrics registry keeps the numbers.
"""

from collections.abc import Sequence

from headway.metrics import Counter, Gauge, Histogram, Log, MetricsRegistry
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    CANCELLED_ROWS,
    INFERENCE_SECONDS,
    QUEUE_ROWS,
    QUEUE_WAIT_SECONDS,
    RECENT_BATCHES,
    REFUSED,
    REPLICA_BUSY,
    REPLICA_BUSY_SECONDS,
    REPLICA_UP,
    RUNNER_ROWS,
)
from headway.runner.batch import Batch
from headway.runner.cost_curve import CostCurve

__all__ = ["RunnerMeters"]

_PUBLISH_S = 1.0
"""Between two publications of the learned costs: they are for people to look at."""
_NS = 1_000_000_000


class _MethodMeters:
    __slots__ = ("batch_rows", "inference", "queue_wait", "recent", "rows")

    def __init__(self, registry: MetricsRegistry, runner: str, method: str) -> None:
        labels = (runner, method)
        self.batch_rows: Histogram = registry.histogram(BATCH_SIZE_ROWS, labels)
        self.queue_wait: Histogram = registry.histogram(QUEUE_WAIT_SECONDS, labels)
        self.inference: Histogram = registry.histogram(INFERENCE_SECONDS, labels)
        self.rows: Counter = registry.counter(RUNNER_ROWS, labels)
        self.recent: Log = registry.log(RECENT_BATCHES, labels)


class _ReplicaMeters:
    __slots__ = ("busy", "busy_seconds", "up")

    def __init__(self, registry: MetricsRegistry, runner: str, number: int) -> None:
        labels = (runner, str(number))
        self.up: Gauge = registry.gauge(REPLICA_UP, labels)
        self.busy: Gauge = registry.gauge(REPLICA_BUSY, labels)
        self.busy_seconds: Counter = registry.counter(REPLICA_BUSY_SECONDS, labels)


class RunnerMeters:
    """The meters of one runner.

    Args:
        registry: Keeps the numbers.
        runner: Its name.
        methods: Names of its methods.
        curves: What is learned of them, to be published now and then.
    """

    def __init__(
        self,
        *,
        registry: MetricsRegistry,
        runner: str,
        methods: list[str],
        curves: Sequence[CostCurve] = (),
    ) -> None:
        self._registry = registry
        self._runner = runner
        self._curves = curves
        self._publish_at = 0.0
        self._replicas: dict[int, _ReplicaMeters] = {}
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
        meters.recent.add(batch.rows, int(took_s * _NS))
        meters.rows.add(batch.rows)
        for piece in batch.pieces:
            # One observation for each group, as its calls arrived together.
            meters.queue_wait.observe(max(started_at - piece.group.arrived_at, 0.0))
        if started_at >= self._publish_at:
            self._publish_at = started_at + _PUBLISH_S
            self._publish()

    def replica_up(self, number: int) -> None:
        """Note that a replica takes batches; by then, its warm-up has been learned."""
        if number not in self._replicas:
            self._replicas[number] = _ReplicaMeters(
                self._registry, self._runner, number
            )
        self._replicas[number].up.set(1)
        self._publish()

    def replica_down(self, number: int) -> None:
        """Note that a replica is gone."""
        self._replicas[number].up.set(0)
        self._replicas[number].busy.set(0)

    def replica_busy(self, number: int) -> None:
        """Note that a replica begins a batch."""
        self._replicas[number].busy.set(1)

    def replica_idle(self, number: int, took_s: float) -> None:
        """Note that it is done."""
        meters = self._replicas[number]
        meters.busy.set(0)
        meters.busy_seconds.add(int(took_s * _NS))

    def _publish(self) -> None:
        for curve in self._curves:
            curve.publish()
