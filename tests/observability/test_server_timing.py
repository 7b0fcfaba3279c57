"""The header Server-Timing: it lists the known stages, in the syntax of the W3C."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headway.config.schema import ApiServerConfig
from headway.core.clock import MonotonicClock
from headway.http.head import HeadParser
from headway.http.request import Request
from headway.observability.request_trace import (
    CALLS_LISTED,
    CallRecord,
    RequestTrace,
    Telemetry,
)

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"[\t !\x23-\x5b\x5d-\x7e]*"'
_METRIC = rf"{_TOKEN}(;{_TOKEN}=({_TOKEN}|{_QUOTED}))*"
_HEADER = re.compile(rf"{_METRIC}(, {_METRIC})*")

moments = st.floats(0, 1e9)


def call(
    name: str = "rows",
    *,
    rows: int = 0,
    queue_s: float = 0.0,
    compute_s: float = 0.0,
    failed: str | None = None,
) -> CallRecord:
    record = CallRecord(name, "double", 100.0)
    record.batch_rows, record.queue_s, record.compute_s = rows, queue_s, compute_s
    record.failed, record.ended_at = failed, 100.25
    return record


def render_timing(
    *,
    received_at: float,
    decoded_at: float | None,
    calls: list[CallRecord],
    returned_at: float | None,
    answered_at: float,
) -> bytes:
    head = HeadParser(ApiServerConfig()).parse(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    telemetry = Telemetry(
        clock=MonotonicClock(),
        id_prefix=None,
        access_log=None,
        shows_timing=True,
    )
    request = Request(None, head, "GET", "/", b"", received_at)
    trace = RequestTrace(request, telemetry, None)
    trace.decoded_at, trace.returned_at, trace.calls = decoded_at, returned_at, calls
    return trace.server_timing(answered_at)


def test_one_call() -> None:
    header = render_timing(
        received_at=99.0,
        decoded_at=99.00005,
        calls=[call(rows=32, queue_s=0.0012, compute_s=0.0034)],
        returned_at=99.01,
        answered_at=99.01002,
    )
    assert header == (
        b'parse;dur=0.050, queue;dur=1.200, batch;desc="32 rows", compute;dur=3.400, '
        b"encode;dur=0.020, total;dur=10.020"
    )


def test_several_calls_have_their_names() -> None:
    header = render_timing(
        received_at=99.0,
        decoded_at=None,
        calls=[
            call("a", rows=1, queue_s=0.001, compute_s=0.002),
            call("b", failed="x"),
        ],
        returned_at=None,
        answered_at=99.5,
    )
    assert header == (
        b'queue;desc="a.double";dur=1.000, batch;desc="a.double: 1 row", '
        b'compute;desc="a.double";dur=2.000, failed;desc="b.double: x";dur=250.000, '
        b"total;dur=500.000"
    )


def test_one_failed_call_and_a_clock_that_stands_still() -> None:
    header = render_timing(
        received_at=1.0,
        decoded_at=1.0,
        calls=[call(failed="overloaded")],
        returned_at=None,
        answered_at=0.9,
    )
    assert header == (
        b'parse;dur=0.000, failed;desc="overloaded";dur=250.000, total;dur=0.000'
    )


def test_the_header_stays_small() -> None:
    header = render_timing(
        received_at=1.0,
        decoded_at=1.0,
        calls=[call(f"r{n}", rows=5) for n in range(100)],
        returned_at=1.0,
        answered_at=1.0,
    )
    assert header.count(b"compute;") == CALLS_LISTED
    assert len(header) < 1500


@given(
    received_at=moments,
    decoded_at=st.none() | moments,
    returned_at=st.none() | moments,
    answered_at=moments,
    calls=st.lists(
        st.builds(
            call,
            st.sampled_from(["rows", "a-b.c_d"]),
            rows=st.integers(0, 2**32 - 1),
            queue_s=st.floats(-1, 1e6),
            compute_s=st.floats(-1, 1e6),
            failed=st.none() | st.sampled_from(["overloaded", "model_failed"]),
        ),
        max_size=12,
    ),
    method=st.from_regex(r"[^\W\d]\w{0,9}", fullmatch=True),
)
def test_every_header_has_valid_syntax(
    received_at: float,
    decoded_at: float | None,
    returned_at: float | None,
    answered_at: float,
    calls: list[CallRecord],
    method: str,
) -> None:
    for one in calls:
        one.method = method
    header = render_timing(
        received_at=received_at,
        decoded_at=decoded_at,
        calls=calls,
        returned_at=returned_at,
        answered_at=answered_at,
    ).decode()
    assert _HEADER.fullmatch(header)
    assert header.rpartition(", ")[2].startswith("total;dur=")
