"""Decodes a chunked request body, strictly; called by `http.protocol`.

httptools cannot say where in its input a message ended, and the next request begins
exactly there; so chunks are read here.
"""

import re

from headway.errors import BodyTooLargeError, HeadersTooLargeError, RequestError
from headway.http.limits import HttpLimits

__all__ = ["ChunkedBody", "body_too_large"]

_MAX_SIZE_LINE = 256
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_PARTIAL_SIZE_LINE = re.compile(
    rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?)?"
)
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


def body_too_large(limits: HttpLimits) -> BodyTooLargeError:
    """Return the error of a body over the limit."""
    return BodyTooLargeError(
        f"The body exceeds max_body_bytes = {limits.max_body_bytes} bytes."
    )


class ChunkedBody:
    """The decoder of one body; trailers are checked and dropped.

    Args:
        limits: Bounds of the body and its trailers.
    """

    __slots__ = (
        "_limits",
        "_remaining",
        "_state",
        "_trailer_bytes",
        "complete",
        "data",
    )

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._state = _SIZE
        self._remaining = 0
        self._trailer_bytes = 0
        self.complete = False
        self.data = bytearray()

    def feed(self, buffer: bytes, at: int) -> int:
        """Decode from `at` and return where it stopped; the rest is to be fed again.

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
        if len(self.data) + size > self._limits.max_body_bytes:
            raise body_too_large(self._limits)
        self._remaining = size
        self._state = _DATA if size else _TRAILERS
        return end + 2

    def _read_trailer(self, buffer: bytes, at: int) -> int:
        end = buffer.find(b"\r\n", at)
        used = (len(buffer) if end < 0 else end) - at
        if self._trailer_bytes + used > self._limits.max_header_bytes:
            raise HeadersTooLargeError(
                "The trailers of the body exceed max_header_bytes = "
                f"{self._limits.max_header_bytes} bytes."
            )
        if end < 0:
            if b"\n" in buffer[at:] or b"\r" in buffer[at:-1]:
                raise RequestError("The trailers of the body hold a bare line break.")
            return at
        if end == at:
            self.complete = True
        elif not _TRAILER_LINE.fullmatch(buffer, at, end):
            raise RequestError("The trailers of the body do not parse.")
        self._trailer_bytes += used + 2
        return end + 2
