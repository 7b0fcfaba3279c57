"""Meters that also make a span of each batch that has calls of traced requests.

assemble makes meters of this kind if `tracing.enabled` is on.
"""

from collections.abc import Sequence

from headway.metrics import MetricsRegistry
from headway.observability.trace_context import SpanIds, unpack_calls
from headway.observability.tracing import Tracing
from headway.runner.batch import Batch
from headway.runner.cost_curve import CostCurve
from headway.runner.meters import RunnerMeters

__all__ = ["TracedMeters"]


class TracedMeters(RunnerMeters):
    """The meters of one runner, and the spans of its batches.

    Args:
        registry: Keeps the numbers.
        runner: The runner's name.
        methods: Names of its methods.
        curves: What is learned of them.
        tracing: Records the spans.
    """

    def __init__(
        self,
        *,
        registry: MetricsRegistry,
        runner: str,
        methods: list[str],
        curves: Sequence[CostCurve],
        tracing: Tracing,
    ) -> None:
        super().__init__(
            registry=registry, runner=runner, methods=methods, curves=curves
        )
        self._tracing = tracing

    def batch_done(self, batch: Batch, started_at: float, took_s: float) -> None:
        """Count a batch that was computed, and make its span."""
        super().batch_done(batch, started_at, took_s)
        links = _span_ids(batch)
        if not links:
            return
        method = batch.key.method
        first_at = min(piece.group.arrived_at for piece in batch.pieces)
        self._tracing.batch_span(
            f"batch {self._runner}.{method}",
            began_at=started_at,
            ended_at=started_at + took_s,
            attributes={
                "headway.runner": self._runner,
                "headway.method": method,
                "headway.batch.rows": batch.rows,
                "headway.batch.requests": batch.calls,
                "headway.queue_ms": max(started_at - first_at, 0.0) * 1000,
            },
            links=links,
        )


def _span_ids(batch: Batch) -> list[SpanIds]:
    """Return the spans of the batch's calls that have one."""
    return [
        ids
        for piece in batch.pieces
        if piece.group.load.frame.traces
        for call, ids in unpack_calls(piece.group.load.frame.traces)
        if piece.first <= call < piece.end
    ]
