"""`traceparent` and the spans in frames round-trip; malformed ones are ignored."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.observability.trace_context import (
    TRACE_BYTES,
    SpanIds,
    TraceParent,
    pack_call,
    parse_traceparent,
    unpack_calls,
)

trace_ids = st.integers(1, 2**128 - 1)
span_ids = st.integers(1, 2**64 - 1)
ids = st.builds(SpanIds, trace_ids, span_ids)


@given(ids=ids, flags=st.integers(0, 255))
def test_traceparent_round_trips(ids: SpanIds, flags: int) -> None:
    header = f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{flags:02x}".encode()
    assert parse_traceparent(header) == TraceParent(ids, flags % 2 == 1)


TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


def test_a_later_version_may_have_more_fields() -> None:
    later = parse_traceparent(b"cc-%b-%b-01-what" % (TRACE, SPAN))
    assert later == parse_traceparent(b"00-%b-%b-01" % (TRACE, SPAN))
    assert later is not None


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"00-%b-%b" % (TRACE, SPAN), id="short"),
        pytest.param(b"00-%b-%b-01-" % (TRACE, SPAN), id="long"),
        pytest.param(b"ff-%b-%b-01" % (TRACE, SPAN), id="no-version"),
        pytest.param(b"00-%b-%b-01" % (TRACE.upper(), SPAN), id="capitals"),
        pytest.param(b"00-%b-%b-01" % (b"0" * 32, SPAN), id="no-trace"),
        pytest.param(b"00-%b-%b-01" % (TRACE, b"0" * 16), id="no-span"),
        pytest.param(
            b"00-%b-%b-01, 00-%b-%b-01" % (TRACE, SPAN, TRACE, SPAN), id="two"
        ),
    ],
)
def test_a_malformed_traceparent_is_ignored(header: bytes) -> None:
    assert parse_traceparent(header) is None


@given(header=st.binary(max_size=80))
def test_garbage_raises_nothing(header: bytes) -> None:
    found = parse_traceparent(header)
    assert found is None or len(header) >= 55


@given(calls=st.lists(st.tuples(st.integers(0, 2**32 - 1), ids), max_size=5))
def test_spans_of_calls_round_trip(calls: list[tuple[int, SpanIds]]) -> None:
    block = b"".join(pack_call(index, span) for index, span in calls)
    assert len(block) == TRACE_BYTES * len(calls)
    assert list(unpack_calls(block)) == calls


def test_a_call_without_its_bytes_is_refused() -> None:
    with pytest.raises(struct.error):
        list(unpack_calls(bytes(TRACE_BYTES - 1)))
