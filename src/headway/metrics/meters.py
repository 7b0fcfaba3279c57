"""What an API worker counts for one endpoint, and a runner for its batches.

api/endpoint and runner/dispatcher call these at their hot points; the registry holds
the numbers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from headway.metrics import families
from headway.metrics.registry import Counter, Gauge, MetricsRegistry

_PUBLISH_S = 1.0
"""Period of publishing the learned costs, which only people look at."""
_NS = 1_000_000_000


class EndpointMeters:
    """The meters of one endpoint.

    Answers are collected during a turn of the event loop and counted together at its
    end: at full load that is a quarter of the cost (benchmarks/micro/bench_edge.py).

    Args:
        registry: Holds the numbers.
        endpoint: Its route.
        loop: Runs the counting.

    Attributes:
        serving: Requests in progress.
        answers: Status and seconds of each answer of this turn.
        is_due: Whether counting is already scheduled. Code that changes `serving` or
            `answers` calls `touch` if it is not.
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
        self._duration = registry.histogram(families.REQUEST_DURATION, (endpoint,))
        self._in_progress = registry.gauge(families.REQUESTS_IN_PROGRESS, (endpoint,))
        self.answers: list[tuple[int, float]] = []
        self.is_due = False
        self.serving = 0

    def touch(self) -> None:
        """Schedule counting for the end of this turn."""
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
                families.REQUESTS, (self._endpoint, str(status))
            )
        return counter


class LearnedCost(Protocol):
    """The cost model of a method, as far as it is published."""

    @property
    def largest(self) -> int:
        """Rows of the largest batch seen; 0 before the first."""

    def mean(self, rows: int) -> float:
        """Return the expected seconds of a batch."""

    def tail(self, rows: int) -> float:
        """Return a pessimistic bound of the seconds of a batch."""


class _MethodMeters:
    __slots__ = ("batch_rows", "inference", "queue_wait", "recent", "rows")

    def __init__(self, registry: MetricsRegistry, runner: str, method: str) -> None:
        labels = (runner, method)
        self.batch_rows = registry.histogram(families.BATCH_SIZE_ROWS, labels)
        self.queue_wait = registry.histogram(families.QUEUE_WAIT_SECONDS, labels)
        self.inference = registry.histogram(families.INFERENCE_SECONDS, labels)
        self.rows = registry.counter(families.RUNNER_ROWS, labels)
        self.recent = registry.log(families.RECENT_BATCHES, labels)


class _ReplicaMeters:
    __slots__ = ("busy", "busy_seconds", "up")

    def __init__(self, registry: MetricsRegistry, runner: str, number: int) -> None:
        labels = (runner, str(number))
        self.up = registry.gauge(families.REPLICA_UP, labels)
        self.busy = registry.gauge(families.REPLICA_BUSY, labels)
        self.busy_seconds = registry.counter(families.REPLICA_BUSY_SECONDS, labels)


class RunnerMeters:
    """The meters of one runner.

    Args:
        registry: Holds the numbers.
        runner: Its name.
        methods: Names of its methods.
        costs: Cost model and maximum batch size of each method that forms batches.
            Their predictions are published once a second.
    """

    def __init__(
        self,
        *,
        registry: MetricsRegistry,
        runner: str,
        methods: Sequence[str],
        costs: Mapping[str, tuple[LearnedCost, int]] | None = None,
    ) -> None:
        self._registry = registry
        self._runner = runner
        self._publish_at = 0.0
        self._replicas: dict[int, _ReplicaMeters] = {}
        self.queue_rows = registry.gauge(families.QUEUE_ROWS, (runner,))
        self.cancelled_rows = registry.counter(families.CANCELLED_ROWS, (runner,))
        self._methods = {
            method: _MethodMeters(registry, runner, method) for method in methods
        }
        self._costs: list[tuple[LearnedCost, int, Gauge, Gauge]] = [
            (
                cost,
                rows,
                registry.gauge(
                    families.BATCH_COST_SECONDS, (runner, method, str(rows), "mean")
                ),
                registry.gauge(
                    families.BATCH_COST_SECONDS, (runner, method, str(rows), "tail")
                ),
            )
            for method, (cost, max_rows) in (costs or {}).items()
            for rows in published_sizes(max_rows)
        ]

    def refused(self, reason: str, calls: int) -> None:
        """Count calls that were refused or dropped unserved."""
        self._registry.counter(families.REFUSED, (reason,)).add(calls)

    def batch_done(
        self,
        method: str,
        rows: int,
        waits: Sequence[float],
        started_at: float,
        took_s: float,
    ) -> None:
        """Count a computed batch.

        Args:
            method: Its method.
            rows: Its rows.
            waits: Seconds in the queue: one for each group of calls, which arrived
                together.
            started_at: Monotonic seconds.
            took_s: Seconds of computing.
        """
        meters = self._methods[method]
        meters.batch_rows.observe(rows)
        meters.inference.observe(took_s)
        meters.recent.add(rows, int(took_s * _NS))
        meters.rows.add(rows)
        for wait in waits:
            meters.queue_wait.observe(wait)
        if started_at >= self._publish_at:
            self._publish_at = started_at + _PUBLISH_S
            self._publish_costs()

    def replica_up(self, number: int) -> None:
        """Count a replica as up; the costs of its warm-up are known by then."""
        if number not in self._replicas:
            self._replicas[number] = _ReplicaMeters(
                self._registry, self._runner, number
            )
        self._replicas[number].up.set(1)
        self._publish_costs()

    def replica_down(self, number: int) -> None:
        """Count a replica as down."""
        self._replicas[number].up.set(0)
        self._replicas[number].busy.set(0)

    def replica_busy(self, number: int) -> None:
        """Count a replica as computing."""
        self._replicas[number].busy.set(1)

    def replica_idle(self, number: int, took_s: float) -> None:
        """Count a replica as idle again, after `took_s` seconds of computing."""
        meters = self._replicas[number]
        meters.busy.set(0)
        meters.busy_seconds.add(int(took_s * _NS))

    def _publish_costs(self) -> None:
        """Set the cost gauges; sizes above the largest batch seen stay 0, unknown."""
        for cost, rows, mean, tail in self._costs:
            is_known = rows <= cost.largest
            mean.set(int(cost.mean(rows) * _NS) if is_known else 0)
            tail.set(int(cost.tail(rows) * _NS) if is_known else 0)


def published_sizes(max_rows: int) -> list[int]:
    """Return the batch sizes that warm-up measures and whose cost is published.

    They are 1, 2, 4, ... and the largest.
    """
    sizes = [1]
    while 2 * sizes[-1] < max_rows:
        sizes.append(2 * sizes[-1])
    return sizes if max_rows == 1 else [*sizes, max_rows]
