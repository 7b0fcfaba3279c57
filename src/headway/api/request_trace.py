"""One request on its way: what is noted of it, and where its answer passes by.

api/observer makes one for each request; api/observed_task and api/observed_client note
in it what becomes of the request.
"""

from collections.abc import Callable
from typing import Any, cast

from headway.api.access_log import GONE
from headway.api.call_record import CallRecord
from headway.api.request_ids import REQUEST_ID_HEADER
from headway.api.server_timing import render_timing
from headway.api.telemetry import Telemetry
from headway.http.head import Headers
from headway.http.request import Request, Responder
from headway.http.stream import AnswerStream, Channel, Pairs

__all__ = ["RequestTrace"]


class RequestTrace:
    """Stands between a request and its responder, and tells what was noted.

    Args:
        request: Is not answered yet.
        responder: Takes its answer.
        observation: Says what to note, and where to tell it.
        span: Of OpenTelemetry; None if the request is not traced.

    Attributes:
        request_id: Names the request; empty if requests have no names.
        calls: Of runners.
    """

    __slots__ = (
        "_decoded_at",
        "_observation",
        "_responder",
        "_returned_at",
        "_span",
        "calls",
        "request_id",
    )

    def __init__(
        self,
        request: Request,
        responder: Responder,
        observation: Telemetry,
        span: Any,
    ) -> None:
        self._responder = responder
        self._observation = observation
        self._span = span
        self._decoded_at: float | None = None
        self._returned_at: float | None = None
        self.calls: list[CallRecord] = []
        ids = observation.ids
        self.request_id = "" if ids is None else ids.of(request)

    # --- what is noted

    def decoded(self) -> None:
        """Note that the function begins."""
        self._decoded_at = self._observation.now()

    def returned(self) -> None:
        """Note that the function has returned."""
        self._returned_at = self._observation.now()

    def begin_call(self, runner: str, method: str) -> CallRecord:
        """Note that a runner is called; `end_call` must follow."""
        record = CallRecord(runner, method, self._observation.now())
        self.calls.append(record)
        if self._span is not None and self._observation.spans is not None:
            self._observation.spans.begin_call(record)
        return record

    def end_call(self, record: CallRecord) -> None:
        """Note that a call is over."""
        record.ended_at = self._observation.now()
        if record.span is not None and self._observation.spans is not None:
            self._observation.spans.end_call(record)

    def gone(
        self, request: Request, on_disconnect: Callable[[], None] | None
    ) -> Callable[[], None]:
        """Return what is to be called, for `on_disconnect`, if the client hangs up."""

        def hung_up() -> None:
            self._over(request, GONE, 0)
            if on_disconnect is not None:
                on_disconnect()

        return hung_up

    def _over(self, request: Request, status: int, length: int) -> None:
        observation = self._observation
        if observation.access_log is not None:
            seconds = observation.now() - request.received_at
            observation.access_log.note(
                request, status, length, seconds, self.request_id
            )
        span, self._span = self._span, None
        if span is not None and observation.spans is not None:
            observation.spans.end(span, status, self.request_id)

    # --- the answer, as of a connection

    def answer(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Send the answer, and tell of it; `Request.respond` calls this."""
        self._responder.answer(
            request, status, content_type, body, self._headers(request, headers)
        )
        self._over(request, status, 0 if request.method == "HEAD" else len(body))

    def info(self, name: str) -> Any:
        """Return what the transport knows by that name."""
        return self._channel.info(name)

    def stream(self, request: Request, status: int, headers: Pairs) -> AnswerStream:
        """Begin an answer in pieces, and tell of it once it is complete."""
        stream = self._channel.stream(request, status, self._headers(request, headers))
        stream.on_end = lambda length: self._over(request, status, length)
        return stream

    @property
    def _channel(self) -> Channel:
        # Only http.asgi asks, whose requests come from connections.
        return cast("Channel", self._responder)

    def _headers(self, request: Request, headers: Pairs) -> Headers:
        """Return the headers of the answer, our own among them."""
        all_headers = tuple(headers)
        if self.request_id and not (headers and _is_named(headers)):
            all_headers += ((REQUEST_ID_HEADER, self.request_id.encode()),)
        observation = self._observation
        if observation.shows_timing:
            timing = render_timing(
                received_at=request.received_at,
                decoded_at=self._decoded_at,
                calls=self.calls,
                returned_at=self._returned_at,
                answered_at=observation.now(),
            )
            all_headers += ((b"server-timing", timing),)
        return all_headers


def _is_named(headers: Pairs) -> bool:
    """Return whether the application gives the answer a name of its own."""
    return any(name == REQUEST_ID_HEADER for name, _ in headers)
