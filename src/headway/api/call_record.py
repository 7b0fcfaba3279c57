"""What is noted of one call of a runner: when it was, and what its batch was like.

api/request_trace makes one for each call of an observed request; api/pending_calls
fills in what the
runner says.
"""

from typing import Any

from headway.ipc.frame_records import ResultsFrame
from headway.observability.trace_context import SpanIds

__all__ = ["CallRecord"]


class CallRecord:
    """One call of a request's function.

    Args:
        runner: The runner's name.
        method: The method's.
        began_at: Monotonic seconds.
    """

    __slots__ = (
        "batch_rows",
        "began_at",
        "compute_s",
        "ended_at",
        "failed",
        "method",
        "queue_s",
        "runner",
        "span",
        "span_ids",
    )

    def __init__(self, runner: str, method: str, began_at: float) -> None:
        self.runner = runner
        self.method = method
        self.began_at = began_at
        self.ended_at = began_at
        self.failed: str | None = None
        """The code of its error."""
        self.queue_s = self.compute_s = 0.0
        self.batch_rows = 0
        """Of the batch that completed it; 0 as long as there is none."""
        self.span: Any = None
        """Of OpenTelemetry, if its request is traced."""
        self.span_ids: SpanIds | None = None

    def answered(self, frame: ResultsFrame) -> None:
        """Take what the runner says about the batch."""
        self.queue_s = frame.queue_s
        self.compute_s = frame.compute_s
        self.batch_rows = frame.batch_rows
