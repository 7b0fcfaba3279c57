"""An endpoint whose requests have journeys: they are told when its function runs.

assemble makes endpoints of this kind if an observer stands before the application.
"""

from collections.abc import Callable
from typing import Any

from headway.api.endpoint import Endpoint, ServedTask
from headway.api.function_task import FunctionTask
from headway.api.request_options import HeaderOptions
from headway.http.request import Request

__all__ = ["ObservedEndpoint"]


class _ObservedTask(ServedTask):
    """A request while it is served, and its journey."""

    __slots__ = ("journey",)

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        asked: HeaderOptions,
        deadline: float,
    ) -> None:
        ServedTask.__init__(self, endpoint, request, asked, deadline)
        self.journey = request.journey

    def start(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call the function, which its request has come to."""
        self.journey.decoded()
        FunctionTask.start(self, function, args)

    def returned(self, value: Any) -> None:
        """Answer with the function's result."""
        self.journey.returned()
        ServedTask.returned(self, value)


def _task(
    endpoint: Endpoint, request: Request, asked: HeaderOptions, deadline: float
) -> ServedTask:
    # Most requests have no journey if only a share is traced.
    kind = ServedTask if request.journey is None else _ObservedTask
    return kind(endpoint, request, asked, deadline)


class ObservedEndpoint(Endpoint):
    """Serves one API function, and has it noted."""

    task = staticmethod(_task)
