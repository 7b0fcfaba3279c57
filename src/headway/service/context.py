"""The context of a request, which API functions read and write through `ctx`.

api/endpoint creates it for functions with a `ctx` parameter, and reads the response's
status and headers from it.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["Context", "RequestInfo", "ResponseInfo"]


class RequestInfo:
    """The request without its body.

    Args:
        method: HTTP method.
        path: Path without the query.
        query: Query string, undecoded.
        headers: Header values by lower-case name.
    """

    __slots__ = ("headers", "method", "path", "query")

    def __init__(
        self, *, method: str, path: str, query: str, headers: Mapping[str, str]
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers


class ResponseInfo:
    """Status and headers that the API function sets for its response."""

    __slots__ = ("headers", "status_code")

    def __init__(self) -> None:
        self.status_code = 200
        self.headers: dict[str, str] = {}


class Context:
    """One request's context.

    Args:
        request: The request's method, path and headers.
        state: Shared by all requests of one API worker; startup hooks fill it.
        request_id: The request's ID in the response and in the log; None unless
            `api_server.request_ids` or `logging.access` is on.
    """

    __slots__ = ("request", "request_id", "response", "state")

    def __init__(
        self,
        *,
        request: RequestInfo,
        state: dict[str, Any],
        request_id: str | None = None,
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.response = ResponseInfo()
        self.state = state
