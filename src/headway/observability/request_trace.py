"""What is recorded of requests: their ids, when their stages ended, their runner calls.

server/assembly builds a Telemetry if any setting asks for one, and
TelemetryApplication (http/request) begins traces with it. api/endpoint and
api/runner_client record stages and calls; Request applies a trace to the
answer.
"""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from headway.core.clock import Clock
from headway.observability.access_log import CLIENT_CLOSED, AccessEntry, AccessLog
from headway.observability.trace_context import Sampling, SpanIds, parse_traceparent
from headway.observability.tracing import HttpRequest, Tracing

CALLS_LISTED = 8
"""Calls of one request that Server-Timing lists: a header has to stay small."""

_REQUEST_ID_HEADER: Final = b"x-request-id"
# Nothing that JSON, a header or a line of a log would have to escape.
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")
_FAULT = 500

Headers = tuple[tuple[bytes, bytes], ...]


class CallRecord(msgspec.Struct):
    """One runner call of a request."""

    runner: str
    method: str
    began_at: float
    ended_at: float = 0.0
    failed: str | None = None
    """The code of its error."""
    batch_rows: int = 0
    """Rows of the batch that completed it; 0 until then."""
    queue_s: float = 0.0
    compute_s: float = 0.0
    span: Any = None
    """OpenTelemetry's, if the request is sampled."""
    span_ids: SpanIds | None = None


class Telemetry:
    """Begins the request traces of an API worker, by its settings.

    Args:
        clock: The one that stamps requests.
        id_prefix: Begins the generated request ids, and is unique to this process;
            None: requests have no ids.
        access_log: Takes every answer; None: there is no access log.
        shows_timing: Whether answers have the header `Server-Timing`.
        tracing: Makes the spans of sampled requests; None: there are none.
        sampling: Decides which requests have spans.
        routes: Of the APIs; requests to other paths have no spans.

    Attributes:
        traces_all: Whether every request has a trace, not only the sampled ones.
        records_stages: Whether traces record the stages and calls of their request.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        id_prefix: str | None,
        access_log: AccessLog | None,
        shows_timing: bool,
        tracing: Tracing | None = None,
        sampling: Sampling | None = None,
        routes: Collection[str] = (),
    ) -> None:
        self.now = clock.now
        self._id_prefix = id_prefix
        self._next_id = count(1).__next__
        self.access_log = access_log
        self.shows_timing = shows_timing
        self.tracing = tracing
        self._sampling = sampling
        self._routes = frozenset(routes)
        self.traces_all = id_prefix is not None or shows_timing
        self.records_stages = shows_timing or tracing is not None

    def begin(self, request: HttpRequest) -> "RequestTrace | None":
        """Return the trace of a request; None if it gets none."""
        span = None
        if self.tracing is not None and self._sampling is not None:
            given = request.header(b"traceparent")
            parent = None if given is None else parse_traceparent(given)
            # Sampling comes first: it excludes most requests at the least cost.
            if self._sampling.takes(parent) and request.path in self._routes:
                span = self.tracing.request_span(
                    request, parent and parent.ids, request.header(b"tracestate")
                )
        if span is None and not self.traces_all:
            return None
        return RequestTrace(request, self, span)

    def request_id(self, request: HttpRequest) -> str:
        """Return the client's id if it is safe to log, otherwise a generated one.

        It is empty if requests have no ids.
        """
        if self._id_prefix is None:
            return ""
        given = request.header(_REQUEST_ID_HEADER)
        if given is not None and _SAFE_ID.fullmatch(given):
            return given.decode()
        return f"{self._id_prefix}-{self._next_id():x}"


class RequestTrace:
    """The record of one request, from its last byte to its answer.

    Args:
        request: It has not been answered yet.
        telemetry: Says what to record, and takes the outcome.

    Attributes:
        span: OpenTelemetry's, until it ends; None if the request is not sampled.
        received_at: Monotonic seconds when the request's last byte came.
        decoded_at: When its function began; None if it did not.
        calls: Of runners.
        returned_at: When its function returned; None if it did not.
        request_id: Empty if requests have no ids.
        records_stages: Whether `decoded`, `returned` and calls are to be recorded.
    """

    __slots__ = (
        "_method",
        "_path",
        "_telemetry",
        "calls",
        "decoded_at",
        "received_at",
        "records_stages",
        "request_id",
        "returned_at",
        "span",
    )

    def __init__(self, request: HttpRequest, telemetry: Telemetry, span: Any) -> None:
        # No reference to the request, which refers to its trace.
        self._method = request.method
        self._path = request.path
        self.received_at = request.received_at
        self._telemetry = telemetry
        self.span = span
        self.decoded_at: float | None = None
        self.returned_at: float | None = None
        self.calls: list[CallRecord] = []
        self.request_id = telemetry.request_id(request)
        self.records_stages = telemetry.records_stages

    def decoded(self) -> None:
        """Record that the API function begins."""
        self.decoded_at = self._telemetry.now()

    def returned(self) -> None:
        """Record that the API function has returned."""
        self.returned_at = self._telemetry.now()

    def begin_call(self, runner: str, method: str) -> CallRecord:
        """Record that a runner is called; `end_call` must follow."""
        record = CallRecord(runner, method, self._telemetry.now())
        self.calls.append(record)
        tracing = self._telemetry.tracing
        if self.span is not None and tracing is not None:
            record.span, record.span_ids = tracing.call_span(runner, method)
        return record

    def end_call(self, record: CallRecord) -> None:
        """Record that a call is over."""
        record.ended_at = self._telemetry.now()
        tracing = self._telemetry.tracing
        if record.span is None or tracing is None:
            return
        attributes: dict[str, int | float] = {}
        if record.batch_rows:
            attributes = {
                "headway.batch.rows": record.batch_rows,
                "headway.queue_ms": record.queue_s * 1000,
                "headway.compute_ms": record.compute_s * 1000,
            }
        tracing.end(record.span, attributes, record.failed)

    def answer_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Headers:
        """Return the headers of the answer, with those of the trace."""
        added: Headers = ()
        # A name that the application gives the answer stays.
        if self.request_id and all(name != _REQUEST_ID_HEADER for name, _ in headers):
            added = ((_REQUEST_ID_HEADER, self.request_id.encode()),)
        if self._telemetry.shows_timing:
            timing = self.server_timing(self._telemetry.now())
            added += ((b"server-timing", timing),)
        return (*headers, *added)

    def server_timing(self, answered_at: float) -> bytes:
        """Return the value of the header `Server-Timing`: the stages so far."""
        metrics = []
        if self.decoded_at is not None:
            metrics.append(_duration("parse", self.decoded_at - self.received_at))
        if len(self.calls) == 1:
            metrics += _call_metrics(self.calls[0], "")
        else:
            for call in self.calls[:CALLS_LISTED]:
                metrics += _call_metrics(call, f"{call.runner}.{call.method}")
        if self.returned_at is not None:
            metrics.append(_duration("encode", answered_at - self.returned_at))
        metrics.append(_duration("total", answered_at - self.received_at))
        return ", ".join(metrics).encode("ascii", "replace")

    def finish(self, status: int, length: int) -> None:
        """Log the answer and end the span.

        Args:
            status: Of the answer.
            length: Bytes of its body.
        """
        telemetry = self._telemetry
        if telemetry.access_log is not None:
            telemetry.access_log.note(
                AccessEntry(
                    time.time(),
                    # Without a path, it was refused before its head could be read.
                    self._method if self._path else "-",
                    self._path or "-",
                    status,
                    length,
                    telemetry.now() - self.received_at,
                    self.request_id,
                )
            )
        span, self.span = self.span, None
        if span is not None and telemetry.tracing is not None:
            attributes: dict[str, str | int] = {"http.response.status_code": status}
            if self.request_id:
                attributes["headway.request_id"] = self.request_id
            failed = status >= _FAULT or status == CLIENT_CLOSED
            telemetry.tracing.end(span, attributes, str(status) if failed else None)

    def finish_unanswered(self) -> None:
        """Log that the client hung up before its answer was complete."""
        self.finish(CLIENT_CLOSED, 0)


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
