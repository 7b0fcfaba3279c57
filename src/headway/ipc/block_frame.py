"""The frames that stand for frames in shared memory; pure functions on bytes.

ipc/arena writes and reads them. They are laid out as wire.py says, and channels
keep them to themselves: owners never see one.

    BLOCK     whole frames lie in this block of the sender's half of the memory
    UNUSED    nothing of these blocks of the receiver's half is in use any longer
"""

import struct
from collections.abc import Sequence
from typing import Final

from headway.errors import WireError

__all__ = [
    "BLOCK",
    "UNUSED",
    "decode_block",
    "decode_unused",
    "encode_block",
    "encode_unused",
]

BLOCK: Final = 6
UNUSED: Final = 7

_HEAD = struct.Struct("<IB3x")
# start, bytes
_BLOCK = struct.Struct("<IB3xQQ")


def encode_block(start: int, nbytes: int) -> bytes:
    """Return a BLOCK frame."""
    return _BLOCK.pack(_BLOCK.size, BLOCK, start, nbytes)


def decode_block(frame: memoryview) -> tuple[int, int]:
    """Return the (start, bytes) of a BLOCK frame.

    Raises:
        WireError: If it is of another length.
    """
    if len(frame) != _BLOCK.size:
        raise WireError(f"a BLOCK frame of {len(frame)} bytes")
    _, _, start, nbytes = _BLOCK.unpack(frame)
    return start, nbytes


def encode_unused(starts: Sequence[int]) -> bytes:
    """Return an UNUSED frame."""
    length = _HEAD.size + 8 * len(starts)
    return _HEAD.pack(length, UNUSED) + struct.pack(f"<{len(starts)}Q", *starts)


def decode_unused(frame: memoryview) -> tuple[int, ...]:
    """Return the starts of the blocks of an UNUSED frame.

    Raises:
        WireError: If it ends amid one.
    """
    count, rest = divmod(len(frame) - _HEAD.size, 8)
    if rest:
        raise WireError(f"an UNUSED frame of {len(frame)} bytes")
    return struct.unpack_from(f"<{count}Q", frame, _HEAD.size)
