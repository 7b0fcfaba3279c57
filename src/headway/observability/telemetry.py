"""What the settings ask to record of each request, shared by the requests of a worker.

server/assembly builds one if any setting asks for it; RequestTrace reads it.
"""

import re
from collections.abc import Collection
from itertools import count
from typing import Any, Final

from headway.core.clock import Clock
from headway.observability.access_log import CLIENT_CLOSED, AccessLog
from headway.observability.trace_context import Sampling, parse_traceparent
from headway.observability.tracing import HttpRequest, Tracing

__all__ = ["REQUEST_ID_HEADER", "RequestSpans", "Telemetry"]

REQUEST_ID_HEADER: Final = b"x-request-id"

# Nothing that JSON, a header or a line of a log would have to escape.
_SAFE_ID = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")
_FAULT = 500


class RequestSpans:
    """Samples requests to APIs, and makes their OpenTelemetry spans.

    Args:
        tracing: Records them.
        sampling: Decides which requests have spans.
        routes: Of the APIs; requests to other paths have no spans.
    """

    __slots__ = ("_routes", "_takes", "tracing")

    def __init__(
        self, *, tracing: Tracing, sampling: Sampling, routes: Collection[str]
    ) -> None:
        self.tracing = tracing
        self._takes = sampling.takes
        self._routes = frozenset(routes)

    def begin(self, request: HttpRequest) -> Any:
        """Return the span of a request; None if it is not sampled."""
        given = request.header(b"traceparent")
        parent = None if given is None else parse_traceparent(given)
        # Sampling comes first: it excludes most requests at the least cost.
        if not self._takes(parent) or request.path not in self._routes:
            return None
        if parent is None:
            return self.tracing.request_span(request, None, None)
        state = request.header(b"tracestate")
        return self.tracing.request_span(request, parent.ids, state)

    def end(self, span: Any, status: int, request_id: str) -> None:
        """End the span of a request; `status` may be CLIENT_CLOSED."""
        attributes: dict[str, str | int] = {"http.response.status_code": status}
        if request_id:
            attributes["headway.request_id"] = request_id
        failed = status >= _FAULT or status == CLIENT_CLOSED
        self.tracing.end(span, attributes, str(status) if failed else None)


class Telemetry:
    """What all request traces of an API worker share.

    Args:
        clock: The one that stamps requests.
        id_prefix: Begins the generated request ids, and is unique to this process;
            None: requests have no ids.
        access_log: Takes every answer; None: there is no access log.
        shows_timing: Whether answers have the header `Server-Timing`.
        spans: Makes spans of sampled requests; None: there are none.

    Attributes:
        traces_all: Whether every request has a trace, not only the sampled ones.
        records_stages: Whether traces record the stages and calls of their request.
    """

    __slots__ = (
        "_id_prefix",
        "_next_id",
        "access_log",
        "now",
        "records_stages",
        "shows_timing",
        "spans",
        "traces_all",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        id_prefix: str | None,
        access_log: AccessLog | None,
        shows_timing: bool,
        spans: RequestSpans | None,
    ) -> None:
        self.now = clock.now
        self._id_prefix = id_prefix
        self._next_id = count(1).__next__
        self.access_log = access_log
        self.shows_timing = shows_timing
        self.spans = spans
        self.traces_all = id_prefix is not None or shows_timing
        self.records_stages = shows_timing or spans is not None

    def request_id(self, request: HttpRequest) -> str:
        """Return the client's id if it is safe to log, otherwise a generated one.

        It is empty if requests have no ids.
        """
        if self._id_prefix is None:
            return ""
        given = request.header(REQUEST_ID_HEADER)
        if given is not None and _SAFE_ID.fullmatch(given):
            return given.decode()
        return f"{self._id_prefix}-{self._next_id():x}"

    def start(self) -> None:
        """Start the thread of the access log."""
        if self.access_log is not None:
            self.access_log.start()

    async def aclose(self) -> None:
        """Write the rest of the access log."""
        if self.access_log is not None:
            await self.access_log.aclose()
