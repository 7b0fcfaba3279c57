"""What an API function may ask about its request and say about its response.

service hands it to functions that take `ctx`; api/endpoint makes and reads it.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["Context", "RequestInfo", "ResponseInfo"]


class RequestInfo:
    """The request, apart from its body.

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
    """What the API function wants in the response head."""

    __slots__ = ("headers", "status_code")

    def __init__(self) -> None:
        self.status_code = 200
        self.headers: dict[str, str] = {}


class Context:
    """One request's context.

    Args:
        request: The request's head.
        state: Shared by all requests of one API worker; startup hooks fill it.
        request_id: Names the request in its answer and in the log; None unless
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
