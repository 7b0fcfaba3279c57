"""Cuts a byte stream into frames by their length field; pure, without I/O.

ipc/unix feeds it what the socket gave; ipc/arena has whole ones in memory.
"""

from collections.abc import Iterator

from headway.errors import WireError
from headway.ipc.frames import LENGTH, MAX_FRAME_BYTES

__all__ = ["FrameCutter", "whole_frames"]

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
                raise _no_frame(length)
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


def whole_frames(data: memoryview) -> Iterator[memoryview]:
    """Yield the frames of which `data` consists, each a view of it.

    Raises:
        WireError: If a length field cannot be one, or the last frame is cut short.
    """
    at, end = 0, len(data)
    while at < end:
        if end - at < LENGTH.size:
            raise WireError("a block ends amid a frame")
        (length,) = LENGTH.unpack_from(data, at)
        if not _SMALLEST_FRAME_BYTES <= length <= end - at:
            raise _no_frame(length)
        yield data[at : at + length]
        at += length


def _no_frame(length: int) -> WireError:
    return WireError(f"a frame says that it is {length} bytes long")
