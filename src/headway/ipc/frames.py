"""The frames between API workers, runners and replicas; pure functions on bytes.

api/runner_client, runner/receiver and runner/replica encode and decode them;
channels cut the byte stream into frames. All integers are little-endian.

    u32 length of the frame | u8 kind | u8 padding at the end | 2 bytes unused | ...

    CALLS      a group: calls of one turn of an event loop that may share a batch
    CANCEL     calls of a group whose callers are gone
    READY      the runner is loaded and warm
    RESULTS    results of consecutive calls of a group
    FAILURE    one error for consecutive calls of a group

CALLS and RESULTS have fixed fields and a payload; the others hold one record in
MessagePack. Kinds from BLOCK on belong to the channel (ipc/shared_memory).

A frame's length is a multiple of 8 and its payload begins at one, so that an array over
the payload is aligned whenever the frame is.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from headway.errors import WireError
from headway.ipc.records import (
    CallKey,
    CallsFrame,
    CancelFrame,
    FailureFrame,
    ReadyFrame,
    ResultKey,
    ResultsFrame,
    encode_record,
)
from headway.observability.trace_context import TRACE_BYTES

CALLS: Final = 1
CANCEL: Final = 2
READY: Final = 3
RESULTS: Final = 4
FAILURE: Final = 5
BLOCK: Final = 6
UNUSED: Final = 7

LENGTH: Final = struct.Struct("<I")
MAX_FRAME_BYTES: Final = 2**31 - 1
_SMALLEST_FRAME_BYTES: Final = 8

_HEAD = struct.Struct("<IBB2x")
# group id, calls, bytes of the key, priority, calls with a span, deadline, sent at
_CALLS = struct.Struct("<IB3xIIIBxHdd")
# group id, first call, calls, bytes of the key, sizes, queue delay s, row s, queue s,
# compute s, rows of the batch
_RESULTS = struct.Struct("<IBB2xIIIIIffffI")
_PADDING = (b"", *(bytes(n) for n in range(1, 8)))

_KINDS: dict[type, int] = {
    CancelFrame: CANCEL,
    FailureFrame: FAILURE,
    ReadyFrame: READY,
}
_DECODERS: dict[type, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(kind)
    for kind in (CallKey, ResultKey, CancelFrame, FailureFrame, ReadyFrame)
}

Buffer = bytes | bytearray | memoryview
_Record = TypeVar("_Record", bound=msgspec.Struct)


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
        key: What the calls have in common, from `CallEncoder`.
        rows: Rows of each call.
        sizes: Bytes of each call's pickle; empty for array columns.
        parts: The payload: the first column of all calls, then the second, ...
        payload_bytes: Bytes in `parts`.
        priority: Class of the calls, 0 the most urgent.
        deadline: Monotonic seconds.
        sent_at: Monotonic seconds.
        traces: TRACE_BYTES for each traced call.

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


def encode_results(frame: ResultsFrame) -> list[Buffer]:
    """Return the buffers of a RESULTS frame.

    Raises:
        WireError: If the frame would be too long for its length field.
    """
    key, sizes, payload = frame.key, frame.sizes, frame.payload
    tail = _pack_u32(sizes) if sizes else b""
    front = _RESULTS.size + len(key) + len(tail)
    tail += _padding(front)
    front += len(_padding(front))
    end = _padding(front + len(payload))
    head = _RESULTS.pack(
        _frame_length(front + len(payload) + len(end)),
        RESULTS,
        len(end),
        frame.group_id,
        frame.first,
        frame.calls,
        len(key),
        len(sizes),
        frame.queue_delay_s,
        frame.row_s,
        frame.queue_s,
        frame.compute_s,
        frame.batch_rows,
    )
    return [head + key + tail, payload, end] if end else [head + key + tail, payload]


def decode_results_frame(frame: memoryview) -> ResultsFrame:
    """Return the content of a RESULTS frame.

    Raises:
        WireError: If the frame is shorter than it says.
    """
    try:
        fields = _RESULTS.unpack_from(frame)
        end, group_id, first, calls, key_bytes, sized = fields[2:8]
        at = _RESULTS.size + key_bytes
        key = bytes(frame[_RESULTS.size : at])
        sizes = struct.unpack_from(f"<{sized}I", frame, at)
    except struct.error as error:
        raise WireError(f"a RESULTS frame is cut short: {error}") from error
    at += 4 * sized
    at += -at % 8
    delay, row, queue, compute, rows = fields[8:]
    payload = frame[at : len(frame) - end]
    return ResultsFrame(
        group_id, first, calls, key, sizes, delay, row, queue, compute, rows, payload
    )


def encode_record_frame(record: CancelFrame | FailureFrame | ReadyFrame) -> bytes:
    """Return a CANCEL, FAILURE or READY frame."""
    body = encode_record(record)
    end = _padding(len(body))
    length = _frame_length(_HEAD.size + len(body) + len(end))
    return _HEAD.pack(length, _KINDS[type(record)], len(end)) + body + end


def decode_record(frame: memoryview, kind: type[_Record]) -> _Record:
    """Return the record of a CANCEL, FAILURE or READY frame.

    Raises:
        WireError: If it does not parse.
    """
    try:
        _, _, end = _HEAD.unpack_from(frame)
    except struct.error as error:
        raise WireError(f"a {kind.__name__} does not parse: {error}") from error
    return parse_record(frame[_HEAD.size : len(frame) - end], kind)


def parse_record(data: Buffer, kind: type[_Record]) -> _Record:
    """Return a record that `encode_record` encoded.

    Raises:
        WireError: If it does not parse.
    """
    try:
        record: _Record = _DECODERS[kind].decode(data)
    # A deeply nested unknown field causes RecursionError.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a {kind.__name__} does not parse: {error}") from error
    return record


class FrameCutter:
    """Collects chunks of a stream and yields whole frames.

    A frame inside one chunk is a view of it; only one that spans chunks is copied.
    """

    __slots__ = ("_chunks", "_needed", "pending")

    def __init__(self) -> None:
        self._chunks: list[Buffer] = []
        self._needed = LENGTH.size
        self.pending = 0
        """Bytes of an incomplete frame."""

    def feed(self, data: Buffer) -> Iterator[memoryview]:
        """Yield the frames that `data` completes.

        Raises:
            WireError: If a frame's length is impossible.
        """
        if self.pending:
            self._chunks.append(data)
            self.pending += len(data)
            if self.pending < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
            self.pending = 0
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
            self.pending = end - at


def whole_frames(data: Buffer) -> Iterator[memoryview]:
    """Yield the frames that `data` consists of, as views of it.

    Raises:
        WireError: If a frame's length is impossible, or the last frame is incomplete.
    """
    cutter = FrameCutter()
    yield from cutter.feed(data)
    if cutter.pending:
        raise WireError("a block ends amid a frame")
