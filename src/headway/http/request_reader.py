"""Cuts requests out of a connection's bytes, however they arrive.

http/connection uses it for what its fast path does not take: new heads, requests in
several pieces or several in one, chunked bodies, faults. httptools checks heads
(http/head); it cannot say where in its input a message ends, where the next request
begins, so bodies are cut out here.
"""

import re

from headway.config.schema import ApiServerConfig
from headway.errors import (
    BodyTooLargeError,
    HeadersTooLargeError,
    RequestError,
    RequestTimeoutError,
)
from headway.http.head import CHUNKED, Head, HeadCache, HeadParser

_MAX_SIZE_LINE = 256
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_PARTIAL_SIZE_LINE = re.compile(
    rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?)?"
)
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


def body_too_large(config: ApiServerConfig) -> BodyTooLargeError:
    """Return the error of a body over the limit."""
    return BodyTooLargeError(
        f"The body exceeds max_body_bytes = {config.max_body_bytes} bytes."
    )


def too_slow(config: ApiServerConfig) -> RequestTimeoutError:
    """Return the error of a request that takes too long to arrive."""
    return RequestTimeoutError(
        "The request was not complete after request_timeout_s = "
        f"{config.request_timeout_s:g} seconds."
    )


class RequestReader:
    """The requests of one connection.

    Args:
        config: Bounds of a request.
        heads: Parses heads.

    Attributes:
        head: Of the request whose body is incomplete.
        has_partial: A part of a request was read.
        awaits_continue: The client sends the body after a `100 Continue`.
    """

    def __init__(self, config: ApiServerConfig, heads: HeadCache) -> None:
        self._config = config
        self._heads = heads
        self._buffer = b""
        self._at = 0
        self._parser: HeadParser | None = None
        self._body: bytearray | ChunkedBody = bytearray()
        self.head: Head | None = None
        self.has_partial = False
        self.awaits_continue = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer = self._buffer[self._at :] + data if self._buffer else data
        self._at = 0
        self.has_partial = True

    def next_request(self) -> tuple[Head, bytes] | None:
        """Return the head and body of the next request, None if it is incomplete.

        Raises:
            RequestError: The bytes cannot be a request; nothing can be read any more.
        """
        head = self.head
        if head is None:
            head = self.head = self._read_head()
        body = None if head is None else self._read_body(head)
        if self._at >= len(self._buffer):
            self._buffer = b""
            self._at = 0
        if head is None or body is None:
            self.has_partial = head is not None or bool(self._buffer)
            return None
        self.head = None
        self._body = bytearray()
        self.has_partial = bool(self._buffer)
        return head, body

    def drop(self) -> bool:
        """Forget what is left, and return whether there was anything."""
        dropped = self._at < len(self._buffer)
        self._buffer = b""
        self._at = 0
        self.head = None
        self.has_partial = self.awaits_continue = False
        return dropped

    def _read_head(self) -> Head | None:
        """Return the next head if it is complete; raises RequestError."""
        if not self._skip_empty_lines():
            return None
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._at) + 4
        if end < 4:
            if self._parser is None:
                self._parser = HeadParser(self._config)
            self._parser.feed(buffer[self._at :])
            return None
        head = self._heads.parse(buffer[self._at : end])
        self._parser = None
        self._at = end
        if head.length == CHUNKED:
            self._body = ChunkedBody(self._config)
        elif head.length > self._config.max_body_bytes:
            self.head = head  # of the request that is refused
            raise body_too_large(self._config)
        self.awaits_continue = (
            head.expects_continue and head.length != 0 and end == len(buffer)
        )
        return head

    def _skip_empty_lines(self) -> bool:
        """Skip empty lines before a request, as RFC 9112, 2.2 asks."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n", self._at):
            self._at += 2
        if buffer.startswith((b"\r", b"\n"), self._at):
            if self._at + 1 == len(buffer) and buffer.endswith(b"\r"):
                return False
            raise RequestError("The request begins with a bare line break.")
        return self._at < len(buffer)

    def _read_body(self, head: Head) -> bytes | None:
        """Return the whole body if it is complete; raises RequestError."""
        buffer, at, body = self._buffer, self._at, self._body
        if at < len(buffer):
            self.awaits_continue = False
        if isinstance(body, ChunkedBody):
            self._at = body.feed(buffer, at)
            return bytes(body.data) if body.complete else None
        if not body and len(buffer) - at >= head.length:
            self._at = at + head.length
            return buffer[at : at + head.length]
        part = buffer[at : at + head.length - len(body)]
        body += part
        self._at = at + len(part)
        return bytes(body) if len(body) == head.length else None


class ChunkedBody:
    """The decoder of one body; trailers are checked and dropped.

    Args:
        config: Bounds of the body and its trailers.
    """

    def __init__(self, config: ApiServerConfig) -> None:
        self._config = config
        self._state = _SIZE
        self._remaining = 0
        self._trailer_bytes = 0
        self.complete = False
        self.data = bytearray()

    def feed(self, buffer: bytes, at: int) -> int:
        """Decode from `at` and return the end of what was decoded; feed the rest again.

        Raises:
            RequestError: A chunk is malformed.
            BodyTooLargeError: The chunks announced exceed the limit.
            HeadersTooLargeError: The trailers exceed the limit of headers.
        """
        while not self.complete:
            if self._state == _DATA:
                taken = buffer[at : at + self._remaining]
                self.data += taken
                self._remaining -= len(taken)
                at += len(taken)
                if self._remaining:
                    return at
                self._state = _DATA_END
            start = at
            if self._state == _DATA_END:
                at = self._read_data_end(buffer, at)
            elif self._state == _SIZE:
                at = self._read_size(buffer, at)
            else:
                at = self._read_trailer(buffer, at)
            if at == start:
                return at
        return at

    def _read_data_end(self, buffer: bytes, at: int) -> int:
        ending = buffer[at : at + 2]
        if ending == b"\r\n":
            self._state = _SIZE
            return at + 2
        if ending not in {b"", b"\r"}:
            raise RequestError("A chunk of the body is longer than its size says.")
        return at

    def _read_size(self, buffer: bytes, at: int) -> int:
        end = buffer.find(b"\r\n", at, at + _MAX_SIZE_LINE)
        if end < 0:
            partial = buffer[at : at + _MAX_SIZE_LINE]
            if len(partial) == _MAX_SIZE_LINE or not _PARTIAL_SIZE_LINE.fullmatch(
                partial
            ):
                raise RequestError("The size of a chunk of the body does not parse.")
            return at
        match = _SIZE_LINE.fullmatch(buffer, at, end)
        if match is None:
            raise RequestError("The size of a chunk of the body does not parse.")
        size = int(match[1], 16)
        if len(self.data) + size > self._config.max_body_bytes:
            raise body_too_large(self._config)
        self._remaining = size
        self._state = _DATA if size else _TRAILERS
        return end + 2

    def _read_trailer(self, buffer: bytes, at: int) -> int:
        end = buffer.find(b"\r\n", at)
        used = (len(buffer) if end < 0 else end) - at
        if self._trailer_bytes + used > self._config.max_header_bytes:
            raise HeadersTooLargeError(
                "The trailers of the body exceed max_header_bytes = "
                f"{self._config.max_header_bytes} bytes."
            )
        if end < 0:
            # Not slices: mypyc fails for one that ends before it starts.
            if b"\n" in buffer[at:] or buffer.find(b"\r", at, len(buffer) - 1) >= 0:
                raise RequestError("The trailers of the body hold a bare line break.")
            return at
        if end == at:
            self.complete = True
        elif not _TRAILER_LINE.fullmatch(buffer, at, end):
            raise RequestError("The trailers of the body do not parse.")
        self._trailer_bytes += used + 2
        return end + 2
