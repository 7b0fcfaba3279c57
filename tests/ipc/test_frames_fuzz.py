"""Damaged frames decode as a frame or raise WireError, nothing else."""

import itertools
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc import frames as wire
from headway.ipc.frames import (
    LENGTH,
    MAX_FRAME_BYTES,
    Buffer,
    FrameCutter,
    decode_calls,
    decode_record,
    decode_results_frame,
    encode_calls,
    encode_record_frame,
    encode_results,
    kind_of_frame,
    parse_record,
    whole_frames,
)
from headway.ipc.records import (
    ARRAYS,
    ArgumentSpec,
    CallKey,
    CallsFrame,
    CancelFrame,
    ErrorRecord,
    FailureFrame,
    ReadyFrame,
    ResultKey,
    ResultsFrame,
)
from headway.ipc.rows import decode_results

CALL_KEY = msgspec.msgpack.encode(
    CallKey("predict", 0, (ArgumentSpec(0, "array", "<f8", (4,)),), b"constants")
)
RESULT_KEY = msgspec.msgpack.encode(ResultKey(ARRAYS, "<f8", (2,)))
DECODERS: dict[int, Callable[[memoryview], object]] = {
    wire.CALLS: decode_calls,
    wire.RESULTS: decode_results_frame,
    wire.FAILURE: partial(decode_record, kind=FailureFrame),
    wire.CANCEL: partial(decode_record, kind=CancelFrame),
    wire.READY: partial(decode_record, kind=ReadyFrame),
}
NESTED = b"\x91" * 100_000 + b"\xc0"
"""MessagePack of an array in an array in an array ..."""


def joined(buffers: Sequence[Buffer]) -> bytes:
    return b"".join(buffers)


def calls_frame(rows: list[int], sized: bool, payload: bytes) -> bytes:
    return joined(
        encode_calls(
            group_id=7,
            key=CALL_KEY,
            rows=rows,
            sizes=[len(payload)] * len(rows) if sized else [],
            parts=[payload],
            payload_bytes=len(payload),
            priority=1,
            deadline=10.0,
            sent_at=9.0,
        )
    )


def results_frame(sizes: list[int], payload: bytes) -> bytes:
    return joined(
        encode_results(
            ResultsFrame(
                group_id=7,
                first=0,
                calls=len(sizes),
                key=RESULT_KEY,
                sizes=sizes,
                queue_delay_s=0.1,
                row_s=0.2,
                queue_s=0.3,
                compute_s=0.4,
                batch_rows=5,
                payload=memoryview(payload),
            )
        )
    )


COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=6)
PAYLOADS = st.binary(max_size=64)
WHOLE = st.one_of(
    st.builds(calls_frame, COUNTS, st.booleans(), PAYLOADS),
    st.builds(results_frame, COUNTS, PAYLOADS),
    st.text(max_size=20).map(
        lambda text: encode_record_frame(
            FailureFrame(7, 0, 2, ErrorRecord("late", text, "id", 1.5))
        )
    ),
    COUNTS.map(lambda calls: encode_record_frame(CancelFrame(7, tuple(calls)))),
    st.text(max_size=20).map(
        lambda name: encode_record_frame(ReadyFrame(name, 9, {"predict": [(1, 0.5)]}))
    ),
)
WORDS = st.sampled_from(
    [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\x01\0\0\0"]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame with bytes changed, cut out, put in, or another frame's in their place.

    Its length field is right more often than not, as the cutter lets no other pass.
    """
    frame = bytearray(draw(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(frame)))
        if draw(st.booleans()):  # a number that counts what follows
            at -= at % 4
            frame[at : at + 4] = draw(WORDS)
        else:
            new = draw(st.binary(max_size=6)) or draw(WHOLE)[at:]
            frame[at : at + draw(st.integers(0, 12))] = new
    if len(frame) >= LENGTH.size and draw(st.integers(0, 3)):
        LENGTH.pack_into(frame, 0, len(frame))
    return bytes(frame)


def check(frame: memoryview) -> None:
    """Decode it as each kind, and check that the content fits into the frame."""
    for decode in DECODERS.values():
        try:
            found: Any = decode(frame)
        except WireError:
            continue
        if isinstance(found, CallsFrame):
            _, _, _, calls, key_bytes = struct.unpack_from("<IB3xIII", frame)
            assert len(found.rows) == calls
            assert len(found.key) == key_bytes & 0x7FFF_FFFF
            assert len(found.sizes) in (0, calls)
            assert len(found.payload) < len(frame)
            check_call_key(found.key)
        elif isinstance(found, ResultsFrame):
            assert 4 * len(found.sizes) + len(found.payload) < len(frame)
            check_result(found)
        elif isinstance(found, CancelFrame):
            assert len(found.calls) < len(frame)
        else:
            assert isinstance(found, FailureFrame | ReadyFrame)


def check_call_key(key: bytes) -> None:
    try:
        assert isinstance(parse_record(key, CallKey), CallKey)
    except WireError:
        return


def check_result(frame: ResultsFrame) -> None:
    """Decode arrays only: damaged pickles are not safe to read."""
    try:
        form = msgspec.msgpack.decode(frame.key, type=ResultKey)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    if form.mode != ARRAYS:
        return
    try:
        results = decode_results(frame.key, frame.sizes, frame.payload)
    except WireError:
        return
    assert len(results) == len(frame.sizes)


@seed(1)
@settings(max_examples=500, deadline=None)
@given(damaged())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # NumPy's, of old dtypes
def test_a_damaged_frame_is_a_frame_or_a_wire_error(frame: bytes) -> None:
    check(memoryview(frame))


@seed(2)
@settings(max_examples=200, deadline=None)
@given(
    st.lists(WHOLE | damaged() | st.binary(max_size=20), max_size=6).map(b"".join),
    st.lists(st.integers(0, 2000), max_size=12),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_damaged_stream_gives_frames_up_to_a_wire_error(
    stream: bytes, cuts: list[int]
) -> None:
    cutter = FrameCutter()
    frames: list[bytes] = []
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    refused = False
    for start, end in itertools.pairwise(edges):
        try:
            for frame in cutter.feed(stream[start:end]):
                frames.append(bytes(frame))
                assert 0 <= kind_of_frame(frame) <= 255
                check(frame)
        except WireError:
            refused = True
            break
    taken = b"".join(frames)
    assert stream.startswith(taken)
    rest = stream[len(taken) :]
    if len(rest) >= LENGTH.size:  # the reader's verdict is that of the length field
        (length,) = LENGTH.unpack_from(rest)
        assert refused == (not 8 <= length <= MAX_FRAME_BYTES)
        assert refused or length > len(rest)


@seed(6)
@settings(max_examples=200, deadline=None)
@given(st.lists(WHOLE | damaged() | st.binary(max_size=20), max_size=6).map(b"".join))
def test_a_damaged_block_gives_frames_up_to_a_wire_error(block: bytes) -> None:
    frames: list[bytes] = []
    try:
        frames.extend(map(bytes, whole_frames(memoryview(block))))
    except WireError:
        assert b"".join(frames) != block
    else:
        assert b"".join(frames) == block
    assert block.startswith(b"".join(frames))


@pytest.mark.parametrize("kind", [wire.FAILURE, wire.READY])
def test_a_record_that_is_nested_deeply_is_a_wire_error(kind: int) -> None:
    record = b"\x81\xa1x" + NESTED
    if kind == wire.FAILURE:
        record = b"\x94\x07\x00\x01" + record
    frame = struct.pack("<IB3x", 8 + len(record), kind) + record
    with pytest.raises(WireError, match="does not parse"):
        DECODERS[kind](memoryview(frame))


def test_a_key_that_is_nested_deeply_is_a_wire_error() -> None:
    fields = msgspec.msgpack.encode(["predict", 0, [], b"", 0])
    assert (
        parse_record(fields, CallKey).method == "predict"
    )  # further fields are left out
    with pytest.raises(WireError, match="a CallKey does not parse"):
        parse_record(fields[:-1] + NESTED, CallKey)
    fields = msgspec.msgpack.encode([ARRAYS, "<f8", [], 0, 0])
    with pytest.raises(WireError, match="a ResultKey does not parse"):
        decode_results(fields[:-1] + NESTED, [0], memoryview(b""))
