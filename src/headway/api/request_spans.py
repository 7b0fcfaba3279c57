"""The spans of requests to APIs, and of the calls that their functions make.

api/observer begins one for each request that is sampled; journeys end it.
"""

from collections.abc import Collection
from typing import Any

from headway.api.access_log import GONE
from headway.api.call_record import CallRecord
from headway.http.request import Request
from headway.observability.sampling import Sampling
from headway.observability.trace_context import parse_traceparent
from headway.observability.tracing import Tracing

__all__ = ["RequestSpans"]

_FAULT = 500


class RequestSpans:
    """Makes the spans of an API worker.

    Args:
        tracing: Records them.
        sampling: Says of which requests.
        routes: Of the APIs; other requests have no spans.
    """

    __slots__ = ("_routes", "_takes", "_tracing", "enter", "leave")

    def __init__(
        self, *, tracing: Tracing, sampling: Sampling, routes: Collection[str]
    ) -> None:
        self._tracing = tracing
        self._takes = sampling.takes
        self._routes = frozenset(routes)
        self.enter = tracing.enter
        self.leave = tracing.leave

    def begin(self, request: Request) -> Any:
        """Return the span of a request; None if it has none."""
        given = request.head.fields.get(b"traceparent")
        parent = None if given is None else parse_traceparent(given)
        # First what leaves most requests out, at the least cost.
        if not self._takes(parent):
            return None
        path = request.path
        if path not in self._routes:
            return None
        state = None if parent is None else request.header(b"tracestate")
        return self._tracing.server_span(
            f"{request.method} {path}",
            parent=None if parent is None else parent.ids,
            state=None if state is None else state.decode("latin-1"),
            began_at=request.received_at,
            attributes={
                "http.request.method": request.method,
                "http.route": path,
                "url.path": path,
            },
        )

    def end(self, span: Any, status: int, request_id: str) -> None:
        """End the span of a request.

        Args:
            span: Its own.
            status: Of its answer, or GONE if the client hung up before.
            request_id: Its name; empty if it has none.
        """
        attributes: dict[str, str | int] = {"http.response.status_code": status}
        if request_id:
            attributes["headway.request_id"] = request_id
        failed = status >= _FAULT or status == GONE
        self._tracing.end(span, attributes, str(status) if failed else None)

    def begin_call(self, record: CallRecord) -> None:
        """Begin the span of a call, which the runner will link to its batch."""
        span = record.span = self._tracing.client_span(
            f"{record.runner}.{record.method}",
            {"headway.runner": record.runner, "headway.method": record.method},
        )
        record.span_ids = self._tracing.ids_of(span)

    def end_call(self, record: CallRecord) -> None:
        """End the span of a call, with what the runner said of its batch."""
        attributes: dict[str, int | float] = {}
        if record.batch_rows:
            attributes = {
                "headway.batch.rows": record.batch_rows,
                "headway.queue_ms": record.queue_s * 1000,
                "headway.compute_ms": record.compute_s * 1000,
            }
        self._tracing.end(record.span, attributes, record.failed)
