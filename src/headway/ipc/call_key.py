"""What calls have in common that may share a batch: their key, and how it travels.

ipc/call makes the key of a call, runner/ reads it. In a module of their own, for
msgspec reads the annotations of records, which a compiled module does not keep.
"""

from typing import Final

import msgspec

from headway.errors import WireError

__all__ = [
    "ARRAYS",
    "OPAQUE",
    "PICKLED",
    "ArgumentSpec",
    "CallKey",
    "decode_key",
    "encode_key",
]

ARRAYS: Final = 0
"""Every row argument is an array: the columns travel as raw bytes."""

PICKLED: Final = 1
"""Row arguments are lists, frames or sparse matrices: a pickle for each call."""

OPAQUE: Final = 2
"""Never batched: a pickle of all arguments for each call."""


class ArgumentSpec(msgspec.Struct, frozen=True, array_like=True):
    """One argument that has rows."""

    place: int | str
    """Position, or keyword."""
    kind: str
    """Kind of container, as payload.rows names it."""
    dtype: str = ""
    """NumPy dtype string, for arrays."""
    shape: tuple[int, ...] = ()
    """Shape without the rows, for arrays."""


class CallKey(msgspec.Struct, frozen=True, array_like=True):
    """What two calls must have in common to share a batch."""

    method: str
    mode: int
    arguments: tuple[ArgumentSpec, ...] = ()
    constants: bytes = b""
    """Pickle of the arguments without rows: {position or keyword: value}."""


encode_key = msgspec.msgpack.Encoder().encode

_decode_key = msgspec.msgpack.Decoder(CallKey).decode


def decode_key(key: bytes | bytearray | memoryview) -> CallKey:
    """Return the key that `CallEncoder` made.

    Raises:
        WireError: If the bytes are no key.
    """
    try:
        return _decode_key(key)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a call's key does not parse: {error}") from error
