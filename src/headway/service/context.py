"""The context of a request, which API functions read and write through `ctx`.

api/endpoint creates it for functions with a `ctx` parameter, and reads the response's
status and headers from it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class RequestInfo(msgspec.Struct, kw_only=True, eq=False):
    """The request without its body."""

    method: str
    """HTTP method."""
    path: str
    """Path without the query."""
    query: str
    """Query string, undecoded."""
    headers: Mapping[str, str]
    """Header values by lower-case name."""


class ResponseInfo(msgspec.Struct, kw_only=True, eq=False):
    """Status and headers that the API function sets for its response."""

    status_code: int = 200
    """HTTP status."""
    headers: dict[str, str] = {}
    """Header values by name."""


class Context(msgspec.Struct, kw_only=True, eq=False):
    """One request's context."""

    request: RequestInfo
    """The request's method, path, query and headers."""
    state: dict[str, Any]
    """Shared by all requests of one API worker; startup hooks fill it."""
    request_id: str | None = None
    """The request's ID in the response and in the log; None unless
    `api_server.request_ids` or `logging.access` is on."""
    response: ResponseInfo = msgspec.field(default_factory=ResponseInfo)
    """What the API function sets for its response."""
