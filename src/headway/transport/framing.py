"""Cuts a byte stream into frames by their length field; pure, without I/O.

transport/unix feeds it what the socket gave.
"""

from collections.abc import Iterator

from headway.errors import WireError
from headway.wire import LENGTH, MAX_FRAME_BYTES

__all__ = ["FrameCutter"]

_SMALLEST_FRAME_BYTES = 8


class FrameCutter:
    """Collects chunks of a stream and yields the frames that are whole.

    A frame inside one chunk is a view of it; only one that spans chunks is copied.
    """

    __slots__ = ("_chunks", "_needed", "_pending")

    def __init__(self) -> None:
        self._chunks: list[bytes | memoryview] = []
        self._pending = 0
        self._needed = LENGTH.size

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Yield the frames that `data` completes.

        Raises:
            WireError: If a length field cannot be one.
        """
        if self._pending:
            self._chunks.append(data)
            self._pending += len(data)
            if self._pending < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._pending = 0
        view = memoryview(data)
        at, end = 0, len(data)
        while end - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, at)
            if not _SMALLEST_FRAME_BYTES <= length <= MAX_FRAME_BYTES:
                raise WireError(f"a frame says that it is {length} bytes long")
            if end - at < length:
                self._needed = length
                break
            yield view[at : at + length]
            at += length
        else:
            self._needed = LENGTH.size
        if at < end:
            self._chunks.append(view[at:])
            self._pending = end - at
