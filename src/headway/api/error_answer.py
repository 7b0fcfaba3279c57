"""An error as an HTTP answer: one JSON form for all of them.

api/handler and the HTTP protocol (for what it refuses itself) use it.
"""

import math

import msgspec

from headway.errors import HeadwayError, MethodNotAllowedError
from headway.http.head import Headers
from headway.http.request import Answer

__all__ = ["JSON_TYPE", "render_error"]

JSON_TYPE = b"application/json"


class _Body(msgspec.Struct):
    code: str
    message: str
    id: str | None


class _Envelope(msgspec.Struct):
    error: _Body


_encode = msgspec.json.Encoder().encode


def render_error(error: HeadwayError) -> Answer:
    """Return status, content type, body and headers."""
    body = _encode(_Envelope(_Body(error.code, error.message, error.error_id)))
    headers: Headers = ()
    if error.status in (429, 503):
        seconds = max(math.ceil(error.retry_after_s or 0), 1)
        headers = ((b"retry-after", b"%d" % seconds),)
    if isinstance(error, MethodNotAllowedError):
        headers = ((b"allow", ", ".join(error.allow).encode()),)
    return error.status, JSON_TYPE, body, headers
