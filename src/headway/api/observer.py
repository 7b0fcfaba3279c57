"""Stands before the application, and has a journey noted for each request.

assemble_server puts it there if a setting asks for what only journeys tell; without it
the hot path knows nothing of them.
"""

from typing import Any

from headway.api.error_answer import signed
from headway.api.request_trace import RequestTrace
from headway.api.telemetry import Telemetry
from headway.core.log import REQUEST_ID
from headway.errors import HeadwayError
from headway.http.request import Answer, Application, Request

__all__ = ["TelemetryApplication"]


class TelemetryApplication:
    """Hands requests on, and follows them.

    Args:
        application: Serves the requests.
        observation: Says what to note.
    """

    def __init__(self, *, application: Application, observation: Telemetry) -> None:
        self._application = application
        self._observation = observation
        self._spans = observation.spans
        self._follows_all = observation.follows_all

    def handle(self, request: Request) -> None:
        """Serve a request, and see what becomes of it."""
        span = None if self._spans is None else self._spans.begin(request)
        if span is None and not self._follows_all:
            self._application.handle(request)
            return
        journey = self._follow(request, span)
        # Whatever is begun for the request inherits both: its function, its tasks.
        name = REQUEST_ID.set(journey.request_id) if journey.request_id else None
        outer = None if self._spans is None or span is None else self._spans.enter(span)
        try:
            self._application.handle(request)
        finally:
            if outer is not None and self._spans is not None:
                self._spans.leave(outer)
            if name is not None:
                REQUEST_ID.reset(name)
        if request.responder is not None:
            request.on_disconnect = journey.gone(request, request.on_disconnect)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself, whose answer is followed too."""
        if request.journey is None and self._follows_all:
            self._follow(request, None)
        return signed(self._application.reject(error, request), request)

    def _follow(self, request: Request, span: Any) -> RequestTrace:
        assert request.responder is not None, "it is not answered yet"
        journey = RequestTrace(request, request.responder, self._observation, span)
        request.responder = request.journey = journey
        return journey
