"""Parses the request line and headers: bytes in, a checked Head out.

Clients send the same head again and again on a connection, so the server parses each
distinct head once (HeadCache). Called by http/request_reader, calls httptools.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from headway.config.schema import ApiServerConfig
from headway.errors import HeadersTooLargeError, RequestError

Headers = tuple[tuple[bytes, bytes], ...]

MAX_HEADERS = 128
"""Header lines of one request; more is answered with 431."""
CHUNKED = -1
"""The `length` of a chunked body."""

_MAX_CACHED = 1024
"""Heads that a server remembers."""
_MAX_CACHED_BYTES = 2048
"""Of the longest head that it remembers."""
_DIGITS = re.compile(rb"[0-9]{1,18}")
_FOLDED = re.compile(rb"\r\n[ \t]")


class Head(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Request line and headers of one request."""

    method: str = "GET"
    path: str = ""
    query: str = ""
    headers: Headers = ()
    fields: dict[bytes, bytes] = {}
    """Values by lower-case name, repeated ones joined by a comma."""
    length: int = 0
    """Bytes of body that follow, or CHUNKED."""
    is_http_11: bool = True
    keep_alive: bool = False
    """The client can send another request on this connection."""
    plain: bool = False
    """HTTP/1.1, kept alive, not HEAD, a body in bounds: the usual case.

    Its answer is a cached prefix and the body.
    """
    expects_continue: bool = False
    raw_path: bytes = b""
    """The path as received, percent-encoded."""
    notes: dict[Any, Any] = {}
    """The application's results of parsing the headers, by keys of its own."""


NO_HEAD = Head()
"""Of a refusal before a head was read."""


class HeadCache:
    """Heads by their exact bytes; cleared when full, so that its size is bounded.

    Args:
        config: Bounds of a head.
    """

    def __init__(self, config: ApiServerConfig) -> None:
        self._config = config
        self.known: dict[bytes, Head] = {}

    def parse(self, data: bytes) -> Head:
        """Return the Head of `data`, which ends with its first empty line.

        Raises:
            RequestError: The head is at fault; nothing is remembered.
        """
        head = self.known.get(data)
        if head is None:
            head = HeadParser(self._config).parse(data)
            if len(data) <= _MAX_CACHED_BYTES:
                if len(self.known) >= _MAX_CACHED:
                    self.known.clear()
                self.known[data] = head
        return head


class _Collector:
    """What httptools calls while it parses a head."""

    __slots__ = ("begun", "complete", "headers", "url")

    def __init__(self) -> None:
        self.begun = 0
        self.complete = False
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        self.headers.append((name.lower(), (value or b"").rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


class HeadParser:
    """Parses one head, at once or from its beginning on.

    A beginning that no further bytes can repair is refused: otherwise garbage without
    an empty line would wait for its time-out.

    Args:
        config: Bounds of a head.
    """

    def __init__(self, config: ApiServerConfig) -> None:
        self._config = config
        self._collector = _Collector()
        self._parser = httptools.HttpRequestParser(self._collector)
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Check the whole beginning; only its new part is parsed.

        Raises:
            HeadersTooLargeError: It is too long already.
            RequestError: It is malformed.
        """
        limit = self._config.max_header_bytes
        if len(data) > limit:
            raise HeadersTooLargeError(
                f"The request line and headers exceed max_header_bytes = {limit} bytes."
            )
        try:
            self._parser.feed_data(data[self._seen :])
        except httptools.HttpParserUpgrade:
            pass  # an Upgrade that is not followed; _body_length finds the framing
        except httptools.HttpParserError as error:
            raise _malformed(str(error)) from error
        self._seen = len(data)

    def parse(self, data: bytes) -> Head:
        """Return the head, which ends with its first empty line.

        Raises:
            HeadersTooLargeError: More headers or bytes than the limits allow.
            RequestError: The head is malformed or ambiguous.
        """
        self.feed(data)
        found = self._collector
        if not found.complete or found.begun != 1:
            raise _malformed("the headers do not end where they seem to")
        if b"\0" in data or _FOLDED.search(data):
            raise _malformed("a NUL byte or a folded header line")
        if len(found.headers) > MAX_HEADERS:
            message = (
                f"The request has {len(found.headers)} headers; "
                f"at most {MAX_HEADERS} are taken."
            )
            raise HeadersTooLargeError(message)
        method = self._parser.get_method().decode("latin-1")
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise _malformed(f"version {version} is not 1.0 or 1.1")
        if method == "CONNECT":
            raise RequestError("CONNECT is not supported: this server is no proxy.")
        return self._build(method, tuple(found.headers), is_http_11=version == "1.1")

    def _build(self, method: str, headers: Headers, *, is_http_11: bool) -> Head:
        fields = join_fields(headers)
        hosts = sum(name == b"host" for name, _ in headers)
        if hosts > 1 or (is_http_11 and not hosts):
            raise _malformed(f"{hosts} Host headers, there must be one")
        options = fields.get(b"connection", b"").lower().split(b",")
        connection = {option.strip() for option in options}
        keep_alive = (
            b"close" not in connection if is_http_11 else b"keep-alive" in connection
        )
        raw_path, query = _split_target(self._collector.url)
        length = _body_length(headers, is_http_11=is_http_11)
        fits = length <= self._config.max_body_bytes
        expectation = fields.get(b"expect", b"").lower()
        return Head(
            method=method,
            path=unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            raw_path=raw_path,
            query=query,
            headers=headers,
            fields=fields,
            length=length,
            is_http_11=is_http_11,
            keep_alive=keep_alive,
            plain=is_http_11 and keep_alive and method != "HEAD" and fits,
            expects_continue=is_http_11 and expectation == b"100-continue",
        )


def _malformed(reason: str) -> RequestError:
    return RequestError(f"The request does not parse as HTTP/1.1: {reason}.")


def join_fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return `Head.fields` of these headers."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def _split_target(url: bytes) -> tuple[bytes, str]:
    """Return the path and the query, both raw, of any form of request target."""
    if not url.startswith((b"/", b"*")):
        try:
            parts = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError as error:
            raise _malformed("the request target is no URL") from error
        url = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
    path, _, query = url.partition(b"#")[0].partition(b"?")
    return path, query.decode("latin-1")


def _body_length(headers: Headers, *, is_http_11: bool) -> int:
    """Return the length of the body; refuse what two servers could read differently.

    httptools refuses most of that too. It is checked again, because it keeps one
    client's bytes from becoming another's request.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings:
        if lengths:
            raise _malformed("both Content-Length and Transfer-Encoding")
        if [coding.lower() for coding in codings] != [b"chunked"] or not is_http_11:
            raise _malformed("a Transfer-Encoding other than chunked in HTTP/1.1")
        return CHUNKED
    if len(lengths) > 1:
        raise _malformed("more than one Content-Length")
    if not lengths:
        return 0
    if not _DIGITS.fullmatch(lengths[0]):
        raise _malformed("Content-Length is no number")
    return int(lengths[0])
