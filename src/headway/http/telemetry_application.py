"""The front application of a worker that records requests: it begins their traces.

server/assembly puts it there if a setting asks for telemetry; otherwise nothing
of it is on a request's path.
"""

from headway.core.log import REQUEST_ID
from headway.errors import HeadwayError
from headway.http.request import Answer, Application, Request
from headway.observability.request_trace import RequestTrace
from headway.observability.telemetry import Telemetry

__all__ = ["TelemetryApplication"]


class TelemetryApplication:
    """Gives requests a trace, and passes them on.

    Args:
        application: Serves the requests.
        telemetry: Says what to record.
    """

    def __init__(self, *, application: Application, telemetry: Telemetry) -> None:
        self._application = application
        self._telemetry = telemetry
        self._spans = telemetry.spans

    def handle(self, request: Request) -> None:
        """Serve a request under its trace, if it gets one."""
        spans = self._spans
        span = None if spans is None else spans.begin(request)
        if span is None and not self._telemetry.traces_all:
            self._application.handle(request)
            return
        trace = request.trace = RequestTrace(request, self._telemetry, span)
        # The function and the tasks of this request inherit both.
        id_token = REQUEST_ID.set(trace.request_id) if trace.request_id else None
        span_token = (
            None if spans is None or span is None else spans.tracing.enter(span)
        )
        try:
            self._application.handle(request)
        finally:
            if spans is not None and span_token is not None:
                spans.tracing.leave(span_token)
            if id_token is not None:
                REQUEST_ID.reset(id_token)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself; its answer is recorded too."""
        if request.trace is None and self._telemetry.traces_all:
            request.trace = RequestTrace(request, self._telemetry, None)
        return self._application.reject(error, request)
