"""How the bytes of a result are to be read, and how that travels.

ipc/result makes and reads it. In a module of its own, for msgspec reads the
annotations of records, which a compiled module does not keep.
"""

from typing import Final

import msgspec

__all__ = ["ARRAY", "BLOBS", "ResultKey", "decode_result_key", "encode_result_key"]

ARRAY: Final = 0
"""Rows of one array, one call's after the other's, as raw bytes."""

BLOBS: Final = 1
"""A pickle for each call."""


class ResultKey(msgspec.Struct, frozen=True, array_like=True):
    """How the bytes of a result are to be read."""

    mode: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    """Shape without the rows."""
    axis: int = 0
    """Where the caller wants the rows."""


encode_result_key = msgspec.msgpack.Encoder().encode

decode_result_key = msgspec.msgpack.Decoder(ResultKey).decode
