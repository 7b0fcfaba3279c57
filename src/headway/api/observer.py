"""Stands before the application, and has a journey noted for each request.

assemble_server puts it there if a setting asks for what only journeys tell; without it
the hot path knows nothing of them.
"""

from headway.api.error_answer import signed
from headway.api.journey import Journey
from headway.api.observation import Observation
from headway.errors import HeadwayError
from headway.http.request import Answer, Application, Request
from headway.log import REQUEST_ID

__all__ = ["Observer"]


class Observer:
    """Hands requests on, and follows them.

    Args:
        application: Serves the requests.
        observation: Says what to note.
    """

    def __init__(self, *, application: Application, observation: Observation) -> None:
        self._application = application
        self._observation = observation

    def handle(self, request: Request) -> None:
        """Serve a request, and see what becomes of it."""
        journey = self._follow(request)
        if journey.request_id:
            # Whatever is begun for the request inherits it: its function, its tasks.
            token = REQUEST_ID.set(journey.request_id)
            try:
                self._application.handle(request)
            finally:
                REQUEST_ID.reset(token)
        else:
            self._application.handle(request)
        if request.responder is not None:
            request.on_disconnect = journey.gone(request, request.on_disconnect)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself, whose answer is followed too."""
        if request.journey is None:
            self._follow(request)
        return signed(self._application.reject(error, request), request)

    def _follow(self, request: Request) -> Journey:
        assert request.responder is not None, "it is not answered yet"
        journey = Journey(request, request.responder, self._observation)
        request.responder = request.journey = journey
        return journey
