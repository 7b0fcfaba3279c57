"""The header `Server-Timing`: what a request's time went into, for its client.

api/request_trace renders it as an answer leaves, if `api_server.server_timing` is on.
"""

from collections.abc import Iterator, Sequence

from headway.api.call_record import CallRecord

__all__ = ["CALLS_LISTED", "render_timing"]

CALLS_LISTED = 8
"""Calls of one request that are listed: a header has to stay small."""


def render_timing(
    *,
    received_at: float,
    decoded_at: float | None,
    calls: Sequence[CallRecord],
    returned_at: float | None,
    answered_at: float,
) -> bytes:
    """Return the header's value: the stages that the request has come through.

    Args:
        received_at: Monotonic seconds at which its last byte came.
        decoded_at: When the function began; None if it did not.
        calls: Of runners.
        returned_at: When the function returned; None if it did not.
        answered_at: When its answer was ready.
    """
    metrics = []
    if decoded_at is not None:
        metrics.append(_duration("parse", decoded_at - received_at))
    if len(calls) == 1:
        metrics += _call(calls[0], "")
    else:
        for call in calls[:CALLS_LISTED]:
            metrics += _call(call, f"{call.runner}.{call.method}")
    if returned_at is not None:
        metrics.append(_duration("encode", answered_at - returned_at))
    metrics.append(_duration("total", answered_at - received_at))
    return ", ".join(metrics).encode("ascii", "replace")


def _call(call: CallRecord, name: str) -> Iterator[str]:
    """Yield the metrics of a call; `name` tells it from others of the request."""
    if call.batch_rows:
        yield _duration("queue", call.queue_s, name)
        rows = "1 row" if call.batch_rows == 1 else f"{call.batch_rows} rows"
        yield f'batch;desc="{name}: {rows}"' if name else f'batch;desc="{rows}"'
        yield _duration("compute", call.compute_s, name)
    if call.failed is not None:
        what = f"{name}: {call.failed}" if name else call.failed
        yield _duration("failed", call.ended_at - call.began_at, what)


def _duration(metric: str, seconds: float, description: str = "") -> str:
    desc = f';desc="{description}"' if description else ""
    return f"{metric}{desc};dur={max(seconds, 0.0) * 1000:.3f}"
