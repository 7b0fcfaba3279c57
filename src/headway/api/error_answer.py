"""An error as an HTTP answer: one JSON form for all of them.

api/endpoint and the HTTP protocol (for what it refuses itself) use it.
"""

import math

import msgspec

from headway.errors import HeadwayError, MethodNotAllowedError
from headway.http.head import Headers
from headway.http.request import Answer, Request

__all__ = ["JSON_TYPE", "render_error", "signed"]

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


def signed(answer: Answer, request: Request) -> Answer:
    """Return what `render_error` gave with the name of its request, if that has one."""
    journey = request.journey
    if journey is None or not journey.request_id:
        return answer
    status, content_type, body, headers = answer
    # A name holds nothing that JSON would escape (api/request_ids.py).
    body = b'%b,"request_id":"%b"}}' % (body[:-2], journey.request_id.encode())
    return status, content_type, body, headers
