"""The span of each batch that holds calls of traced requests.

The dispatcher calls it after each batch; assembly creates it if `tracing.enabled` is
on.
"""

from headway.observability.trace_context import SpanIds, unpack_calls
from headway.observability.tracing import Tracing
from headway.runner.batch import Batch

__all__ = ["BatchSpans"]


class BatchSpans:
    """Records the spans of a runner's batches.

    Args:
        runner: The runner's name.
        tracing: Records the spans.
    """

    def __init__(self, *, runner: str, tracing: Tracing) -> None:
        self._runner = runner
        self._tracing = tracing

    def batch_done(self, batch: Batch) -> None:
        """Record the span of a computed batch, linked to its traced calls."""
        links = _span_ids(batch)
        if not links:
            return
        method = batch.key.method
        first_at = min(one.group.arrived_at for one in batch.slices)
        self._tracing.batch_span(
            f"batch {self._runner}.{method}",
            began_at=batch.started_at,
            ended_at=batch.started_at + batch.took_s,
            attributes={
                "headway.runner": self._runner,
                "headway.method": method,
                "headway.batch.rows": batch.rows,
                "headway.batch.requests": batch.calls,
                "headway.queue_ms": max(batch.started_at - first_at, 0.0) * 1000,
            },
            links=links,
        )


def _span_ids(batch: Batch) -> list[SpanIds]:
    """Return the spans of the batch's traced calls."""
    return [
        ids
        for one in batch.slices
        if one.group.frame.traces
        for call, ids in unpack_calls(one.group.frame.traces)
        if one.first <= call < one.end
    ]
