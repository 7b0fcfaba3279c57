"""What all connections of one server share, heads of answers among it.

Made by http/server, which ticks it so that the Date stays right; read by
http/connection and http/asgi.
"""

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from headway.config.schema import ApiServerConfig
from headway.http.head import HeadCache, Headers
from headway.http.request import Application

MAX_PIPELINED = 64
"""Unanswered requests of one connection; with more it is not read further."""
LINGER_S = 2.0
"""Seconds for which bytes are read and dropped after a refusal, so that the answer
reaches the client before a reset; and for which a drain waits for the first request of
a connection."""
JOIN_BYTES = 65_536
"""Answers up to this size are sent as one piece, which takes a copy."""
_MAX_PREFIXES = 64
_MAX_WITH_HEADERS = 16
"""Caps the entries of answers with headers of their own."""
BODILESS = frozenset({204, 304})
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class ResponseHeads:
    """Renders answers; their heads are cached for a second.

    Attributes:
        prefixes: (status, content type, further headers) -> the head up to the value
            of its Content-Length. Empty while the server drains, so that every answer
            takes the way that says `Connection: close`.
    """

    __slots__ = ("_date", "closing", "prefixes")

    def __init__(self) -> None:
        self._date = b""
        self.closing = False
        self.prefixes: dict[tuple[int, bytes, Headers], bytes] = {}
        self.tick()

    def tick(self) -> None:
        """Render the current date from now on; called once a second."""
        date = formatdate(usegmt=True).encode()
        if date != self._date:
            self._date = date
            self.prefixes.clear()

    def close_connections(self) -> None:
        """Cache nothing from now on, so that each answer can say `close`."""
        self.closing = True
        self.prefixes.clear()

    def render(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
        *,
        connection: bytes | None,
        head_only: bool,
    ) -> tuple[bytes, ...]:
        """Return the pieces of an answer.

        Raises:
            ValueError: A header holds a line break.
        """
        prefix = self._prefix(status, content_type, headers)
        if status in BODILESS:
            head = prefix.removesuffix(b"content-length: ")
            body = b""
        else:
            head = b"%b%d\r\n" % (prefix, len(body))
        if connection is not None:
            head += b"connection: %b\r\n" % connection
        head += b"\r\n"
        if head_only:
            return (head,)
        if len(body) <= JOIN_BYTES:
            return (head + body,)
        return (head, body)

    def render_head(
        self, status: int, headers: Headers, connection: bytes | None
    ) -> bytes:
        """Return the head of an answer in pieces, whose headers frame its body.

        Raises:
            ValueError: A header holds a line break.
        """
        head = self._lines(status, headers)
        if connection is not None:
            head += b"connection: %b\r\n" % connection
        return head + b"\r\n"

    def _prefix(self, status: int, content_type: bytes, headers: Headers) -> bytes:
        key = (status, content_type, headers)
        prefix = self.prefixes.get(key)
        if prefix is None:
            most = _MAX_WITH_HEADERS if headers else _MAX_PREFIXES
            if content_type:
                headers = ((b"content-type", content_type), *headers)
            prefix = self._lines(status, headers) + b"content-length: "
            if (
                not self.closing
                and status not in BODILESS
                and len(self.prefixes) < most
            ):
                self.prefixes[key] = prefix
        return prefix

    def _lines(self, status: int, headers: Headers) -> bytes:
        lines = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        lines += b"date: %b\r\n" % self._date
        for name, value in headers:
            line = b"%b: %b" % (name, value)
            if b"\r" in line or b"\n" in line or b"\0" in line:
                raise ValueError(f"a response header holds a line break: {line!r}")
            lines += line + b"\r\n"
        return lines


class ServerState:
    """What the connections of one server share.

    Args:
        application: Handles the requests.
        config: Limits and time-outs.
        now: The time.
        on_close: Called when a connection is gone.
    """

    def __init__(
        self,
        *,
        application: Application,
        config: ApiServerConfig,
        now: Callable[[], float],
        on_close: Callable[[], None],
    ) -> None:
        self.application = application
        self.config = config
        self.now = now
        self.on_close = on_close
        self.heads = HeadCache(config)
        self.responses = ResponseHeads()
        self.connections: set[Any] = set()
        """Of http/connection, which imports this module."""
