"""Bytes of an answer's head, cached by status, content type and headers for a second.

Called by `http.protocol`; `http.server` ticks it so that the Date stays right.
"""

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from headway.http.head import Headers

__all__ = ["BODILESS", "CONTINUE", "ResponseHeads"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_MAX_PREFIXES = 64
_MAX_WITH_HEADERS = 16
"""So that answers with ever other headers leave room for those without."""
BODILESS = frozenset({204, 304})
_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


class ResponseHeads:
    """Renders answers; one per server.

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
        """Take the date of now; called once a second."""
        date = formatdate(usegmt=True).encode()
        if date != self._date:
            self._date = date
            self.prefixes.clear()

    def close_connections(self) -> None:
        """Stop remembering prefixes: from now on each answer is looked at."""
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
    ) -> tuple[bytes, bytes]:
        """Return the head and the body to send after it.

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
        return head + b"\r\n", b"" if head_only else body

    def render_head(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        connection: bytes | None,
    ) -> bytes:
        """Return the head of an answer in pieces, whose headers frame its body."""
        head = _status_line(status) + b"date: %b\r\n" % self._date
        for name, value in headers:
            head += b"%b: %b\r\n" % (name, value)
        if connection is not None:
            head += b"connection: %b\r\n" % connection
        return head + b"\r\n"

    def _prefix(self, status: int, content_type: bytes, headers: Headers) -> bytes:
        key = (status, content_type, headers)
        prefix = self.prefixes.get(key)
        if prefix is None:
            if b"\r" in content_type or b"\n" in content_type:
                raise ValueError(f"a content type holds a line break: {content_type!r}")
            prefix = _status_line(status) + b"date: %b\r\n" % self._date
            if content_type:
                prefix += b"content-type: %b\r\n" % content_type
            for name, value in headers:
                line = b"%b: %b" % (name, value)
                if b"\r" in line or b"\n" in line or b"\0" in line:
                    raise ValueError(f"a response header holds a line break: {line!r}")
                prefix += line + b"\r\n"
            prefix += b"content-length: "
            if (
                not self.closing
                and status not in BODILESS
                and len(self.prefixes)
                < (_MAX_WITH_HEADERS if headers else _MAX_PREFIXES)
            ):
                self.prefixes[key] = prefix
        return prefix


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
