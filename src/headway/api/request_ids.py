"""The name of a request: its header `X-Request-Id`, or one that is made for it.

api/request_trace asks for it; it is in the answer, in its error and in lines of the
log.
"""

import re
from itertools import count
from typing import Final

from headway.http.request import Request

__all__ = ["REQUEST_ID_HEADER", "RequestIds"]

REQUEST_ID_HEADER: Final = b"x-request-id"

# Nothing that JSON, a header or a line of a log would have to escape.
_SANE = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")


class RequestIds:
    """Names requests.

    Args:
        prefix: Of the names that are made; no other process may have the same.
    """

    __slots__ = ("_next", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix + "-"
        self._next = count(1).__next__

    def of(self, request: Request) -> str:
        """Return what the client calls the request if that is sane, else a new name."""
        given = request.header(REQUEST_ID_HEADER)
        if given is not None and _SANE.fullmatch(given):
            return given.decode()
        return self._prefix + format(self._next(), "x")
