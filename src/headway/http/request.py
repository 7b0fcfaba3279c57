"""One HTTP request on its way to the application, and how it is answered.

http/connection makes it, api/application routes it, api/endpoint answers it.
"""

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from headway.core.log import REQUEST_ID
from headway.errors import HeadwayError, MethodNotAllowedError
from headway.http.head import Head, Headers
from headway.observability.request_trace import RequestTrace, Telemetry

JSON_TYPE: Final = b"application/json"
_encode_json = msgspec.json.Encoder().encode

Answer = tuple[int, bytes, bytes, Headers]
"""Status, content type, body and further headers."""


class Responder(Protocol):
    """Where an answer goes: a connection, or a test's list."""

    def send_response(
        self,
        request: "Request",
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Send the answer of `request` when its turn has come."""
        ...


# A Struct: made in C, three times as fast as a class with __slots__.
class Request(msgspec.Struct, eq=False):
    """A complete request; `respond` must be called once, now or later.

    Heads are shared between requests: neither `head` nor `headers` may be changed.
    """

    responder: Responder | None
    """The connection until the answer is given, then None."""

    head: Head
    """Request line and headers; the same object for the same bytes."""

    method: str
    """Upper case. The answer to HEAD is GET's: the protocol leaves the body out."""

    path: str
    """Percent-decoded, without the query."""

    body: bytes
    """The whole body, chunks already joined."""

    received_at: float
    """Monotonic seconds when the last byte came."""

    disconnected: bool = False
    """The client hung up before the answer."""

    on_disconnect: Callable[[], None] | None = None
    """Called once if the client hangs up before `respond`; set by the handler."""

    payload: tuple[bytes, ...] | None = None
    """The protocol's: bytes of an answer that waits for an earlier one."""

    trace: RequestTrace | None = None
    """What is recorded of the request, if a setting asks for it."""

    is_nested: bool = False
    """Whether it came through the service's middleware: then the request before that
    applies the trace to the answer."""

    stream: Any = None
    """The protocol's: the `AsgiExchange` that sends an answer in pieces."""

    @property
    def query(self) -> str:
        """What follows the `?`, as it came."""
        return self.head.query

    @property
    def headers(self) -> Headers:
        """Names in lower case and values, in order."""
        return self.head.headers

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the header, repeated ones joined by a comma.

        Args:
            name: In lower case.
        """
        return self.head.fields.get(name)

    def respond(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers = (),
    ) -> None:
        """Answer; ignored if it has been answered or the client is gone.

        Raises:
            TypeError: The status is not a number.
            ValueError: A header holds a line break.
        """
        responder = self.responder
        if responder is not None:
            callback = self.on_disconnect
            self.responder = self.on_disconnect = None
            trace = None if self.is_nested else self.trace
            if trace is not None:
                headers = trace.answer_headers(headers)
            try:
                responder.send_response(self, status, content_type, body, headers)
            except (TypeError, ValueError):
                # It is not answered yet, and has to be.
                self.responder, self.on_disconnect = responder, callback
                raise
            if trace is not None:
                trace.finish(status, 0 if self.method == "HEAD" else len(body))

    def hang_up(self) -> None:
        """Mark the client as gone; the protocol's."""
        self.disconnected = True
        self.responder = None
        if self.trace is not None and not self.is_nested:
            self.trace.finish_unanswered()
        callback, self.on_disconnect = self.on_disconnect, None
        if callback is not None:
            callback()


class Application(Protocol):
    """What the protocol serves."""

    def handle(self, request: Request) -> None:
        """Take a complete request, and answer it now or later."""
        ...

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the protocol itself, which will be the request's answer.

        A request whose head could not be read has no path.
        """
        ...


class TelemetryApplication:
    """Gives requests a trace, and passes them on; a worker without telemetry has none.

    Args:
        application: Serves the requests.
        telemetry: Says what to record.
    """

    def __init__(self, *, application: Application, telemetry: Telemetry) -> None:
        self._application = application
        self._telemetry = telemetry

    def handle(self, request: Request) -> None:
        """Serve a request under its trace, if it gets one."""
        trace = request.trace = self._telemetry.begin(request)
        if trace is None:
            self._application.handle(request)
            return
        tracing, span = self._telemetry.tracing, trace.span
        # The function and the tasks of this request inherit both.
        id_token = REQUEST_ID.set(trace.request_id) if trace.request_id else None
        span_token = None if tracing is None or span is None else tracing.enter(span)
        try:
            self._application.handle(request)
        finally:
            if tracing is not None and span_token is not None:
                tracing.leave(span_token)
            if id_token is not None:
                REQUEST_ID.reset(id_token)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself; its answer is recorded too."""
        if request.trace is None and self._telemetry.traces_all:
            request.trace = RequestTrace(request, self._telemetry, None)
        return self._application.reject(error, request)


def render_error(error: HeadwayError) -> Answer:
    """Return an error as an answer; all errors have one JSON form."""
    body = _encode_json(
        {"error": {"code": error.code, "message": error.message, "id": error.error_id}}
    )
    headers: Headers = ()
    if error.status in (429, 503):
        seconds = max(math.ceil(error.retry_after_s or 0), 1)
        headers = ((b"retry-after", b"%d" % seconds),)
    if isinstance(error, MethodNotAllowedError):
        headers = ((b"allow", ", ".join(error.allow).encode()),)
    return error.status, JSON_TYPE, body, headers


def with_request_id(answer: Answer, request: Request) -> Answer:
    """Return a `render_error` answer with the request's id, if it has one."""
    trace = request.trace
    if trace is None or not trace.request_id:
        return answer
    status, content_type, body, headers = answer
    # Nothing in an id needs to be escaped in JSON (observability/request_trace.py).
    body = b'%b,"request_id":"%b"}}' % (body[:-2], trace.request_id.encode())
    return status, content_type, body, headers


def error_answer(error: HeadwayError, request: Request) -> Answer:
    """Return an error as the answer to a request."""
    return with_request_id(render_error(error), request)
