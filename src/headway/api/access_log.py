"""The access log: a record for each request, once it is answered.

assemble puts it before the application if `logging.access` is on; without it the hot
path knows nothing of it.
"""

import logging
from collections.abc import Callable
from typing import Any, cast

from headway.clock import Clock
from headway.errors import HeadwayError
from headway.http.head import Headers
from headway.http.request import Answer, Application, Request, Responder
from headway.http.stream import AnswerStream, Channel, Pairs

__all__ = ["GONE", "AccessLog"]

_log = logging.getLogger("headway.access")

GONE = 499
"""Logged in place of a status if the client hung up before its answer."""


class AccessLog:
    """Hands requests on, and logs their answers.

    Args:
        application: Serves the requests.
        clock: The one that requests are stamped by.
    """

    def __init__(self, *, application: Application, clock: Clock) -> None:
        self._application = application
        self._clock = clock

    def handle(self, request: Request) -> None:
        """Serve a request and log it once it is answered or its client is gone."""
        self._watch(request)
        self._application.handle(request)
        if request.responder is not None:
            request.on_disconnect = self._gone(request, request.on_disconnect)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself, whose answer is logged too."""
        if not isinstance(request.responder, _LoggedResponder):
            self._watch(request)
        return self._application.reject(error, request)

    def _watch(self, request: Request) -> None:
        if request.responder is not None:
            request.responder = _LoggedResponder(request.responder, self._clock)

    def _gone(
        self, request: Request, on_disconnect: Callable[[], None] | None
    ) -> Callable[[], None]:
        def hung_up() -> None:
            _record(request, GONE, 0, self._clock.now())
            if on_disconnect is not None:
                on_disconnect()

        return hung_up


class _LoggedResponder:
    """Where an answer goes by way of the log."""

    __slots__ = ("_clock", "_responder")

    def __init__(self, responder: Responder, clock: Clock) -> None:
        self._responder = responder
        self._clock = clock

    def answer(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Send the answer, then log it."""
        self._responder.answer(request, status, content_type, body, headers)
        length = 0 if request.method == "HEAD" else len(body)
        _record(request, status, length, self._clock.now())

    def info(self, name: str) -> Any:
        """Return what the transport knows by that name."""
        return self._channel.info(name)

    def stream(self, request: Request, status: int, headers: Pairs) -> AnswerStream:
        """Begin an answer in pieces, and log it once it is complete."""
        stream = self._channel.stream(request, status, headers)
        stream.on_end = lambda length: _record(
            request, status, length, self._clock.now()
        )
        return stream

    @property
    def _channel(self) -> Channel:
        # Only http.asgi asks, whose requests come from connections.
        return cast("Channel", self._responder)


def _record(request: Request, status: int, length: int, now: float) -> None:
    # What was refused before its head could be read has no path.
    method, path = (request.method, request.path) if request.path else ("-", "-")
    milliseconds = round((now - request.received_at) * 1000, 3)
    _log.info(
        "%s %s %d %d bytes %.3f ms",
        method,
        path,
        status,
        length,
        milliseconds,
        extra={
            "method": method,
            "path": path,
            "status": status,
            "bytes": length,
            "milliseconds": milliseconds,
        },
    )
