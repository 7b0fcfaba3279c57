"""Frames decode to what was encoded; other bytes raise WireError."""

import contextlib
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway.errors import (
    WireError,
)
from headway.ipc import frames as wire
from headway.ipc.frames import (
    Buffer,
    decode_calls,
    decode_record,
    decode_results_frame,
    encode_calls,
    encode_record_frame,
    encode_results,
    kind_of_frame,
)
from headway.ipc.records import (
    CancelFrame,
    ErrorRecord,
    FailureFrame,
    ReadyFrame,
    ResultsFrame,
)
from headway.observability.trace_context import TRACE_BYTES

u32 = st.integers(0, 2**32 - 1)
finite = st.floats(allow_nan=False)
singles = st.floats(allow_nan=False, width=32)
texts = st.text()
errors = st.builds(
    ErrorRecord,
    code=texts,
    message=texts,
    error_id=st.none() | texts,
    retry_after_s=st.none() | finite,
)


@st.composite
def calls_fields(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.lists(u32, min_size=1, max_size=5))
    parts = draw(st.lists(st.binary(max_size=40), max_size=4))
    sizes = [len(rows)] * len(rows) if draw(st.booleans()) else []
    return {
        "group_id": draw(u32),
        "key": draw(st.binary(max_size=20)),
        "rows": rows,
        "sizes": sizes,
        "parts": parts,
        "payload_bytes": sum(map(len, parts)),
        "priority": draw(st.integers(0, 255)),
        "deadline": draw(finite),
        "sent_at": draw(finite),
        "traces": draw(
            st.sampled_from([b"", b"a" * TRACE_BYTES, bytes(3 * TRACE_BYTES)])
        ),
    }


@st.composite
def results_fields(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "group_id": draw(u32),
        "first": draw(u32),
        "calls": draw(u32),
        "key": draw(st.binary(max_size=20)),
        "sizes": draw(st.lists(u32, max_size=5)),
        "payload": memoryview(draw(st.binary(max_size=160))),
        "queue_delay_s": draw(singles),
        "row_s": draw(singles),
        "queue_s": draw(singles),
        "compute_s": draw(singles),
        "batch_rows": draw(u32),
    }


def whole(buffers: Sequence[Buffer], kind: int) -> memoryview:
    """Return the frame, after checking its head and length."""
    frame = b"".join(buffers)
    assert wire.LENGTH.unpack_from(frame)[0] == len(frame)
    assert len(frame) % 8 == 0
    assert kind_of_frame(memoryview(frame)) == kind
    return memoryview(frame)


@given(calls_fields())
def test_calls_decode_as_encoded(fields: dict[str, Any]) -> None:
    frame = whole(encode_calls(**fields), wire.CALLS)
    calls = decode_calls(frame)
    payload = b"".join(fields["parts"])
    assert (len(frame) - len(calls.payload)) % 8 == 0, "the payload is aligned"
    assert calls.payload[: len(payload)] == payload
    assert len(calls.payload) - len(payload) < 8
    assert calls.group_id == fields["group_id"]
    assert calls.key == fields["key"]
    assert calls.rows == tuple(fields["rows"])
    assert calls.sizes == tuple(fields["sizes"])
    assert calls.priority == fields["priority"]
    assert calls.traces == fields["traces"]
    assert (calls.deadline, calls.sent_at) == (fields["deadline"], fields["sent_at"])


@given(results_fields())
def test_results_decode_as_encoded(fields: dict[str, Any]) -> None:
    frame = whole(encode_results(ResultsFrame(**fields)), wire.RESULTS)
    results = decode_results_frame(frame)
    assert results.payload == fields["payload"]
    start = len(frame) - len(results.payload) - -len(results.payload) % 8
    assert start % 8 == 0, "the payload is aligned"
    for name in ("group_id", "first", "calls", "key", "batch_rows"):
        assert getattr(results, name) == fields[name]
    assert results.sizes == tuple(fields["sizes"])
    for name in ("queue_delay_s", "row_s", "queue_s", "compute_s"):
        assert getattr(results, name) == fields[name]


@given(u32, u32, u32, errors)
def test_failures_decode_as_encoded(
    group_id: int, first: int, calls: int, error: ErrorRecord
) -> None:
    encoded = encode_record_frame(FailureFrame(group_id, first, calls, error))
    failure = decode_record(whole([encoded], wire.FAILURE), FailureFrame)
    assert (failure.group_id, failure.first, failure.calls) == (
        group_id,
        first,
        calls,
    )
    assert failure.error == error


@given(u32, st.lists(u32, max_size=9))
def test_cancellations_decode_as_encoded(group_id: int, calls: list[int]) -> None:
    frame = whole(
        [encode_record_frame(CancelFrame(group_id, tuple(calls)))], wire.CANCEL
    )
    cancel = decode_record(frame, CancelFrame)
    assert (cancel.group_id, cancel.calls) == (group_id, tuple(calls))


@given(st.builds(ReadyFrame, runner=texts, pid=st.integers(0, 2**31)))
def test_ready_frames_decode_as_encoded(record: ReadyFrame) -> None:
    assert (
        decode_record(whole([encode_record_frame(record)], wire.READY), ReadyFrame)
        == record
    )


DECODERS: list[Callable[[memoryview], object]] = [
    decode_calls,
    decode_results_frame,
    partial(decode_record, kind=FailureFrame),
    partial(decode_record, kind=CancelFrame),
    partial(decode_record, kind=ReadyFrame),
]
FRAMES = st.one_of(
    calls_fields().map(lambda fields: b"".join(encode_calls(**fields))),
    results_fields().map(
        lambda fields: b"".join(encode_results(ResultsFrame(**fields)))
    ),
    errors.map(lambda e: encode_record_frame(FailureFrame(1, 0, 1, e))),
    st.lists(u32).map(lambda calls: encode_record_frame(CancelFrame(1, tuple(calls)))),
    st.builds(ReadyFrame, runner=texts, pid=u32).map(encode_record_frame),
)


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.data())
def test_a_frame_cut_short_raises_nothing_but_wire_error(
    decode: Callable[[memoryview], object], data: st.DataObject
) -> None:
    frame = data.draw(FRAMES)
    cut = data.draw(st.integers(0, len(frame)))
    with contextlib.suppress(WireError):
        decode(memoryview(frame[:cut]))


@pytest.mark.parametrize("decode", DECODERS)
@given(garbage=st.binary(max_size=200))
@example(garbage=b"\xff" * 200)
@example(garbage=b"")
def test_garbage_raises_nothing_but_wire_error(
    decode: Callable[[memoryview], object], garbage: bytes
) -> None:
    with contextlib.suppress(WireError):
        decode(memoryview(garbage))


@pytest.mark.parametrize("decode", DECODERS)
def test_a_frame_without_its_head_is_refused(
    decode: Callable[[memoryview], object],
) -> None:
    with pytest.raises(WireError):
        decode(memoryview(bytes(8)))


def test_missing_rows_are_refused() -> None:
    fields = {
        "group_id": 1,
        "key": b"k",
        "rows": [1] * 9,
        "sizes": [2] * 9,
        "parts": [],
        "payload_bytes": 0,
        "priority": 0,
        "deadline": 1.0,
        "sent_at": 0.0,
    }
    frame = b"".join(encode_calls(**fields))  # type: ignore[arg-type]  # many types
    for cut in (len(frame) - 8, len(frame) - 48):
        with pytest.raises(WireError, match="a CALLS frame is cut short"):
            decode_calls(memoryview(frame[:cut]))


def test_missing_spans_are_refused() -> None:
    frame = b"".join(
        encode_calls(
            group_id=1,
            key=b"k",
            rows=[1],
            sizes=[],
            parts=[],
            payload_bytes=0,
            priority=0,
            deadline=1.0,
            sent_at=0.0,
            traces=bytes(2 * TRACE_BYTES),
        )
    )
    with pytest.raises(WireError, match="a CALLS frame is cut short"):
        decode_calls(memoryview(frame[:-16]))


class Endless(bytes):
    """Claims to be longer than any frame, without using the memory."""

    def __len__(self) -> int:
        return wire.MAX_FRAME_BYTES


def test_a_frame_too_long_for_its_length_field_is_refused() -> None:
    with pytest.raises(WireError, match="send less in one call"):
        encode_calls(
            group_id=1,
            key=b"",
            rows=[1],
            sizes=[],
            parts=[Endless()],
            payload_bytes=wire.MAX_FRAME_BYTES,
            priority=0,
            deadline=0.0,
            sent_at=0.0,
        )


def test_a_frames_kind_is_its_fifth_byte() -> None:
    frame = struct.pack("<IB3x", 8, wire.READY)
    assert kind_of_frame(memoryview(frame)) == wire.READY
