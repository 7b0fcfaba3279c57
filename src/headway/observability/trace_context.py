"""Where a span belongs: W3C's `traceparent`, and the same on its way to a runner.

api/request_spans parses it; api/pending_calls packs the spans of calls into CALLS
frames, and
runner/batch_spans unpacks them.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = [
    "TRACE_BYTES",
    "SpanIds",
    "TraceParent",
    "pack_call",
    "parse_traceparent",
    "unpack_calls",
]

_HEADER = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1
# index of the call among its group's, trace id, span id
_CALL = struct.Struct(">I4x16s8s")
TRACE_BYTES: Final = _CALL.size


class SpanIds(NamedTuple):
    """Names one span among all."""

    trace_id: int
    span_id: int


class TraceParent(NamedTuple):
    """The caller's span, and whether the caller records it."""

    ids: SpanIds
    is_sampled: bool


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Return what a `traceparent` header says; None if it is malformed."""
    match = _HEADER.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    ids = SpanIds(int(trace_id, 16), int(span_id, 16))
    if not (ids.trace_id and ids.span_id):
        return None
    return TraceParent(ids, bool(int(flags, 16) & _SAMPLED))


def pack_call(index: int, ids: SpanIds) -> bytes:
    """Return the span of a call, as in a CALLS frame."""
    trace_id, span_id = ids
    return _CALL.pack(index, trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"))


def unpack_calls(block: bytes) -> Iterator[tuple[int, SpanIds]]:
    """Yield the index and span of each call that has one."""
    for index, trace_id, span_id in _CALL.iter_unpack(block):
        yield index, SpanIds(int.from_bytes(trace_id), int.from_bytes(span_id))
