"""What is recorded of one request: its id, when its stages ended, its runner calls.

http/telemetry_application begins one; api/endpoint and api/runner_client record stages
and calls; http.request.Request applies it to the answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from headway.observability.access_log import CLIENT_CLOSED
from headway.observability.telemetry import REQUEST_ID_HEADER, HttpRequest, Telemetry
from headway.observability.trace_context import SpanIds

__all__ = ["CALLS_LISTED", "CallRecord", "RequestTrace", "render_timing"]

CALLS_LISTED = 8
"""Calls of one request that Server-Timing lists: a header has to stay small."""

Headers = tuple[tuple[bytes, bytes], ...]


class CallRecord:
    """One runner call of a request.

    Args:
        runner: The runner's name.
        method: The method's.
        began_at: Monotonic seconds.

    Attributes:
        failed: The code of its error.
        batch_rows: Rows of the batch that completed it; 0 until then.
        span: OpenTelemetry's, if the request is sampled.
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
        self.queue_s = self.compute_s = 0.0
        self.batch_rows = 0
        self.span: Any = None
        self.span_ids: SpanIds | None = None


class RequestTrace:
    """The record of one request, from its last byte to its answer.

    Args:
        request: It has not been answered yet.
        telemetry: Says what to record, and takes the outcome.
        span: OpenTelemetry's; None if the request is not sampled.

    Attributes:
        request_id: Empty if requests have no ids.
        records_stages: Whether `decoded`, `returned` and calls are to be recorded.
    """

    __slots__ = (
        "_decoded_at",
        "_method",
        "_path",
        "_received_at",
        "_returned_at",
        "_span",
        "_telemetry",
        "calls",
        "records_stages",
        "request_id",
    )

    def __init__(self, request: HttpRequest, telemetry: Telemetry, span: Any) -> None:
        # No reference to the request, which refers to its trace.
        self._method = request.method
        self._path = request.path
        self._received_at = request.received_at
        self._telemetry = telemetry
        self._span = span
        self._decoded_at: float | None = None
        self._returned_at: float | None = None
        self.calls: list[CallRecord] = []
        self.request_id = telemetry.request_id(request)
        self.records_stages = telemetry.records_stages

    def decoded(self) -> None:
        """Record that the API function begins."""
        self._decoded_at = self._telemetry.now()

    def returned(self) -> None:
        """Record that the API function has returned."""
        self._returned_at = self._telemetry.now()

    def begin_call(self, runner: str, method: str) -> CallRecord:
        """Record that a runner is called; `end_call` must follow."""
        record = CallRecord(runner, method, self._telemetry.now())
        self.calls.append(record)
        if self._span is not None and self._telemetry.spans is not None:
            spans = self._telemetry.spans
            record.span, record.span_ids = spans.begin_call(runner, method)
        return record

    def end_call(self, record: CallRecord) -> None:
        """Record that a call is over."""
        record.ended_at = self._telemetry.now()
        if record.span is None or self._telemetry.spans is None:
            return
        attributes: dict[str, int | float] = {}
        if record.batch_rows:
            attributes = {
                "headway.batch.rows": record.batch_rows,
                "headway.queue_ms": record.queue_s * 1000,
                "headway.compute_ms": record.compute_s * 1000,
            }
        self._telemetry.spans.end_call(record.span, attributes, record.failed)

    def answer_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Headers:
        """Return the headers of the answer, with those of the trace."""
        added: Headers = ()
        # A name that the application gives the answer stays.
        if self.request_id and all(name != REQUEST_ID_HEADER for name, _ in headers):
            added = ((REQUEST_ID_HEADER, self.request_id.encode()),)
        if self._telemetry.shows_timing:
            timing = render_timing(
                received_at=self._received_at,
                decoded_at=self._decoded_at,
                calls=self.calls,
                returned_at=self._returned_at,
                answered_at=self._telemetry.now(),
            )
            added += ((b"server-timing", timing),)
        return (*headers, *added)

    def finish(self, status: int, length: int) -> None:
        """Log the answer and end the span.

        Args:
            status: Of the answer.
            length: Bytes of its body.
        """
        telemetry = self._telemetry
        if telemetry.access_log is not None:
            telemetry.access_log.note(
                method=self._method,
                path=self._path,
                status=status,
                length=length,
                seconds=telemetry.now() - self._received_at,
                request_id=self.request_id,
            )
        span, self._span = self._span, None
        if span is not None and telemetry.spans is not None:
            telemetry.spans.end(span, status, self.request_id)

    def finish_unanswered(self) -> None:
        """Log that the client hung up before its answer was complete."""
        self.finish(CLIENT_CLOSED, 0)


def render_timing(
    *,
    received_at: float,
    decoded_at: float | None,
    calls: Sequence[CallRecord],
    returned_at: float | None,
    answered_at: float,
) -> bytes:
    """Return the value of the header `Server-Timing`: the stages of a request.

    Args:
        received_at: Monotonic seconds at which its last byte came.
        decoded_at: When the function began; None if it did not.
        calls: Of runners.
        returned_at: When the function returned; None if it did not.
        answered_at: When its answer was ready.
    """
    metrics = []
    if decoded_at is not None:
        metrics.append(_duration("parse", decoded_at - received_at))
    if len(calls) == 1:
        metrics += _call_metrics(calls[0], "")
    else:
        for call in calls[:CALLS_LISTED]:
            metrics += _call_metrics(call, f"{call.runner}.{call.method}")
    if returned_at is not None:
        metrics.append(_duration("encode", answered_at - returned_at))
    metrics.append(_duration("total", answered_at - received_at))
    return ", ".join(metrics).encode("ascii", "replace")


def _call_metrics(call: CallRecord, name: str) -> Iterator[str]:
    """Yield the metrics of a call; `name` tells it from the request's other calls."""
    if call.batch_rows:
        yield _duration("queue", call.queue_s, name)
        rows = "1 row" if call.batch_rows == 1 else f"{call.batch_rows} rows"
        yield f'batch;desc="{name}: {rows}"' if name else f'batch;desc="{rows}"'
        yield _duration("compute", call.compute_s, name)
    if call.failed is not None:
        what = f"{name}: {call.failed}" if name else call.failed
        yield _duration("failed", call.ended_at - call.began_at, what)


def _duration(metric: str, seconds: float, description: str = "") -> str:
    desc = f';desc="{description}"' if description else ""
    return f"{metric}{desc};dur={max(seconds, 0.0) * 1000:.3f}"
