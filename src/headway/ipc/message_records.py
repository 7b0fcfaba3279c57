"""What frames say in words, as msgpack: an error, and that a runner is ready.

wire puts them into frames; wire_errors makes an error of its record.
"""

import struct

import msgspec

__all__ = [
    "RECORD_FAULTS",
    "ErrorRecord",
    "ReadyRecord",
    "decode_error",
    "decode_ready_record",
    "encode_record",
]

RECORD_FAULTS = (
    struct.error,
    msgspec.MsgspecError,
    UnicodeDecodeError,
    RecursionError,
)
"""What decoding raises; RecursionError where an unknown field is nested deeply."""


class ErrorRecord(msgspec.Struct, frozen=True):
    """An error on its way; `code` finds its class again on the other side."""

    code: str
    message: str
    error_id: str | None = None
    retry_after_s: float | None = None


class ReadyRecord(msgspec.Struct, frozen=True):
    """What a runner says once it is loaded and warm."""

    runner: str
    pid: int
    costs: dict[str, list[tuple[int, float]]] = {}
    """Rows and seconds of a replica's warm-up batches, by method."""


encode_record = msgspec.msgpack.Encoder().encode
decode_error = msgspec.msgpack.Decoder(ErrorRecord).decode
decode_ready_record = msgspec.msgpack.Decoder(ReadyRecord).decode
