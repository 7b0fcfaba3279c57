"""The frames between API workers, runners and replicas; pure functions on bytes.

transport/ cuts the stream into frames by their length; api/runner_client,
runner/receiver
and runner/replica_link encode and decode them. All integers are little-endian.

    u32 length of the frame | u8 kind | 3 bytes of padding | what the kind says

    CALLS      a group: calls of one turn of an event loop that may share a batch
    CANCEL     calls of a group that nobody waits for any longer
    READY      the runner is loaded and warm
    RESULTS    results of neighbouring calls of a group
    FAILURE    one error for neighbouring calls of a group

Kinds 6 and 7 are the transport's own (ipc/block_frame).

A frame's length is a multiple of 8 and its payload begins at one, so that an array over
the payload is aligned whenever the frame is.
"""

import struct
from collections.abc import Sequence
from typing import Final

from headway.errors import WireError
from headway.ipc.call import Buffer
from headway.ipc.frame_records import (
    CallsFrame,
    CancelFrame,
    FailureFrame,
    ResultsFrame,
)
from headway.ipc.message_records import (
    RECORD_FAULTS,
    ErrorRecord,
    ReadyRecord,
    decode_error,
    decode_ready_record,
    encode_record,
)
from headway.observability.trace_context import TRACE_BYTES

__all__ = [
    "CALLS",
    "CANCEL",
    "FAILURE",
    "LENGTH",
    "MAX_FRAME_BYTES",
    "READY",
    "RESULTS",
    "decode_calls",
    "decode_cancel",
    "decode_failure",
    "decode_ready",
    "decode_results_frame",
    "encode_calls",
    "encode_cancel",
    "encode_failure",
    "encode_ready",
    "encode_results",
    "kind_of_frame",
]

CALLS: Final = 1
CANCEL: Final = 2
READY: Final = 3
RESULTS: Final = 4
FAILURE: Final = 5

LENGTH: Final = struct.Struct("<I")
MAX_FRAME_BYTES: Final = 2**31 - 1

_HEAD = struct.Struct("<IB3x")
# group id, calls, bytes of the key, priority, calls with a span, deadline, sent at
_CALLS = struct.Struct("<IB3xIIIBxHdd")
# group id, first call, calls, bytes of the key, sizes, backlog s, row s, queue s,
# compute s, rows of the batch
_RESULTS = struct.Struct("<IB3xIIIIIffffI")
# group id, first call, calls, bytes of the record
_FAILURE = struct.Struct("<IB3xIIII")
# group id, calls
_CANCEL = struct.Struct("<IB3xII")
_PADDING = (b"", *(bytes(n) for n in range(1, 8)))


def _pack_u32(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _padding(nbytes: int) -> bytes:
    return _PADDING[-nbytes % 8]


def _frame_length(nbytes: int) -> int:
    if nbytes > MAX_FRAME_BYTES:
        raise WireError(
            f"a frame of {nbytes} bytes exceeds {MAX_FRAME_BYTES}: send less in one "
            "call"
        )
    return nbytes


def kind_of_frame(frame: memoryview) -> int:
    """Return the kind of a whole frame."""
    return frame[4]


def encode_calls(  # noqa: PLR0913 - the fields of one frame, on the hot path
    *,
    group_id: int,
    key: bytes,
    rows: Sequence[int],
    sizes: Sequence[int],
    parts: Sequence[Buffer],
    payload_bytes: int,
    priority: int,
    deadline: float,
    sent_at: float,
    traces: bytes = b"",
) -> list[Buffer]:
    """Return the buffers of a CALLS frame.

    Args:
        group_id: Unique among the sender's groups in flight.
        key: What the calls have in common, from payload.call.
        rows: Rows of each call.
        sizes: Bytes of each call's pickle, or nothing for array columns.
        parts: The payload: the first column of all calls, then the second, ...
        payload_bytes: Bytes in `parts`.
        priority: Class of the calls, 0 the most urgent.
        deadline: Monotonic seconds.
        sent_at: Monotonic seconds.
        traces: TRACE_BYTES for each call that belongs to a span.

    Raises:
        WireError: If the frame would be too long for its length field.
    """
    tail = _pack_u32(rows) + (_pack_u32(sizes) if sizes else b"") + traces
    front = _CALLS.size + len(key) + len(tail)
    tail += _padding(front)
    front += len(_padding(front))
    end = _padding(front + payload_bytes)
    head = _CALLS.pack(
        _frame_length(front + payload_bytes + len(end)),
        CALLS,
        group_id,
        len(rows),
        len(key) | (0x8000_0000 if sizes else 0),
        priority,
        len(traces) // TRACE_BYTES,
        deadline,
        sent_at,
    )
    return [head + key + tail, *parts, end] if end else [head + key + tail, *parts]


def decode_calls(frame: memoryview) -> CallsFrame:
    """Return the group of a CALLS frame.

    Raises:
        WireError: If the frame is shorter than it says.
    """
    try:
        _, _, group_id, calls, key_bytes, priority, traced, deadline, sent_at = (
            _CALLS.unpack_from(frame)
        )
        sized = key_bytes & 0x8000_0000
        at = _CALLS.size + (key_bytes & 0x7FFF_FFFF)
        key = bytes(frame[_CALLS.size : at])
        rows = struct.unpack_from(f"<{calls}I", frame, at)
        at += 4 * calls
        sizes: tuple[int, ...] = ()
        if sized:
            sizes = struct.unpack_from(f"<{calls}I", frame, at)
            at += 4 * calls
        traced *= TRACE_BYTES
        (traces,) = struct.unpack_from(f"{traced}s", frame, at) if traced else (b"",)
    except struct.error as error:
        raise WireError(f"a CALLS frame is cut short: {error}") from error
    at += traced
    at += -at % 8
    return CallsFrame(
        group_id, key, rows, sizes, priority, deadline, sent_at, frame[at:], traces
    )


def encode_results(  # noqa: PLR0913 - the fields of one frame, on the hot path
    *,
    group_id: int,
    first: int,
    calls: int,
    key: bytes,
    sizes: Sequence[int],
    parts: Sequence[Buffer],
    payload_bytes: int,
    backlog_s: float,
    row_s: float,
    queue_s: float,
    compute_s: float,
    batch_rows: int,
) -> list[Buffer]:
    """Return the buffers of a RESULTS frame; see ResultsFrame.

    Raises:
        WireError: If the frame would be too long for its length field.
    """
    tail = _pack_u32(sizes) if sizes else b""
    front = _RESULTS.size + len(key) + len(tail)
    tail += _padding(front)
    front += len(_padding(front))
    end = _padding(front + payload_bytes)
    head = _RESULTS.pack(
        _frame_length(front + payload_bytes + len(end)),
        RESULTS,
        group_id,
        first,
        calls,
        len(key),
        len(sizes) << 3 | len(end),
        backlog_s,
        row_s,
        queue_s,
        compute_s,
        batch_rows,
    )
    return [head + key + tail, *parts, end] if end else [head + key + tail, *parts]


def decode_results_frame(frame: memoryview) -> ResultsFrame:
    """Return the content of a RESULTS frame.

    Raises:
        WireError: If the frame is shorter than it says.
    """
    try:
        fields = _RESULTS.unpack_from(frame)
        group_id, first, calls, key_bytes, packed = fields[2:7]
        at = _RESULTS.size + key_bytes
        key = bytes(frame[_RESULTS.size : at])
        sized, end = packed >> 3, packed & 7
        sizes = struct.unpack_from(f"<{sized}I", frame, at)
    except struct.error as error:
        raise WireError(f"a RESULTS frame is cut short: {error}") from error
    at += 4 * sized
    at += -at % 8
    payload = frame[at : len(frame) - end]
    backlog, row, queue, compute, batch_rows = fields[7:]
    return ResultsFrame(
        group_id=group_id,
        first=first,
        calls=calls,
        key=key,
        sizes=sizes,
        backlog_s=backlog,
        row_s=row,
        queue_s=queue,
        compute_s=compute,
        batch_rows=batch_rows,
        payload=payload,
    )


def encode_failure(
    *, group_id: int, first: int, calls: int, error: ErrorRecord
) -> bytes:
    """Return a FAILURE frame."""
    record = encode_record(error)
    length = _FAILURE.size + len(record)
    head = _FAILURE.pack(
        length + -length % 8, FAILURE, group_id, first, calls, len(record)
    )
    return head + record + _padding(length)


def decode_failure(frame: memoryview) -> FailureFrame:
    """Return the content of a FAILURE frame.

    Raises:
        WireError: If it does not parse.
    """
    try:
        _, _, group_id, first, calls, size = _FAILURE.unpack_from(frame)
        record = decode_error(frame[_FAILURE.size : _FAILURE.size + size])
    except RECORD_FAULTS as error:
        raise WireError(f"a FAILURE frame does not parse: {error}") from error
    return FailureFrame(group_id, first, calls, record)


def encode_cancel(*, group_id: int, calls: Sequence[int]) -> bytes:
    """Return a CANCEL frame."""
    length = _CANCEL.size + 4 * len(calls)
    head = _CANCEL.pack(length + -length % 8, CANCEL, group_id, len(calls))
    return head + _pack_u32(calls) + _padding(length)


def decode_cancel(frame: memoryview) -> CancelFrame:
    """Return the content of a CANCEL frame.

    Raises:
        WireError: If the frame is shorter than it says.
    """
    try:
        _, _, group_id, calls = _CANCEL.unpack_from(frame)
        indices = struct.unpack_from(f"<{calls}I", frame, _CANCEL.size)
    except struct.error as error:
        raise WireError(f"a CANCEL frame is cut short: {error}") from error
    return CancelFrame(group_id, indices)


def encode_ready(record: ReadyRecord) -> bytes:
    """Return a READY frame."""
    body = encode_record(record)
    length = _HEAD.size + 4 + len(body)
    head = _HEAD.pack(length + -length % 8, READY) + LENGTH.pack(len(body))
    return head + body + _padding(length)


def decode_ready(frame: memoryview) -> ReadyRecord:
    """Return the content of a READY frame.

    Raises:
        WireError: If it does not parse.
    """
    try:
        (size,) = LENGTH.unpack_from(frame, _HEAD.size)
        start = _HEAD.size + 4
        return decode_ready_record(frame[start : start + size])
    except RECORD_FAULTS as error:
        raise WireError(f"a READY frame does not parse: {error}") from error
