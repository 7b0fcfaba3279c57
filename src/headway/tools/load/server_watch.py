"""What the server itself counts while it is under load, once a second.

load keeps one beside Locust. A server without Headway's metrics has nothing to say, and
the load goes on.
"""

import http.client
import threading
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from headway.tools.repeated import Repeated

__all__ = ["Sample", "ServerFigures", "ServerWatch", "between", "per_second"]

_EVERY_S = 1.0
_TIMEOUT_S = 5.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Totals since the server's start, and what waits now."""

    at: float
    """Monotonic time of this machine."""
    requests: float
    """Answered ones."""
    refused: float
    batches: float
    rows: float
    """In these batches."""
    queue_wait_s: float
    """Sum over all calls."""
    calls: float
    busy_s: float
    """Of all replicas."""
    replicas: float
    queue_rows: float
    in_progress: float


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the server did in a span of time."""

    at_s: float
    """Its end, from the beginning of the load."""
    rps: float
    mean_batch_rows: float | None
    """None: there was no batch."""
    queue_wait_ms: float | None
    """Mean, from a call's arrival in the runner to its dispatch."""
    queue_rows: float
    in_progress: float
    refused: int
    busy: float | None
    """Share of the time that the replicas computed; None: there are none."""


# Name in the exposition -> field. Those of histograms are their sums and counts.
_FIELDS = {
    "headway_requests_total": "requests",
    "headway_refused_total": "refused",
    "headway_runner_batch_size_rows_count": "batches",
    "headway_runner_batch_size_rows_sum": "rows",
    "headway_runner_queue_wait_seconds_sum": "queue_wait_s",
    "headway_runner_queue_wait_seconds_count": "calls",
    "headway_replica_busy_seconds_total": "busy_s",
    "headway_replica_up": "replicas",
    "headway_runner_queue_rows": "queue_rows",
    "headway_requests_in_progress": "in_progress",
}


def read_sample(text: str, at: float) -> Sample | None:
    """Return what an exposition says; None if it is none of Headway's."""
    totals = dict.fromkeys(_FIELDS.values(), 0.0)
    found = False
    # Most lines are buckets of histograms, which nobody asks for.
    lines = [line for line in text.splitlines() if line.partition("{")[0] in _FIELDS]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            field = _FIELDS.get(sample.name)
            if field is not None:
                totals[field] += sample.value
                found = True
    return Sample(at=at, **totals) if found else None


def between(
    samples: list[Sample], began: float, ended: float, *, zero: float
) -> ServerFigures | None:
    """Return what the server did in a span; None if it was too short to tell.

    Args:
        samples: All of the load.
        began: Monotonic time.
        ended: Monotonic time.
        zero: When the load began.
    """
    inside = [one for one in samples if began <= one.at <= ended]
    if len(inside) < 2:
        return None
    return _difference(inside[0], inside[-1], zero)


def per_second(samples: list[Sample], *, zero: float) -> list[ServerFigures]:
    """Return what the server did from each sample to the next one but a while later."""
    apart: list[Sample] = []
    for one in samples:
        if not apart or one.at - apart[-1].at >= _EVERY_S / 2:
            apart.append(one)
    return [_difference(before, after, zero) for before, after in pairwise(apart)]


def _difference(before: Sample, after: Sample, zero: float) -> ServerFigures:
    seconds = max(after.at - before.at, 1e-3)
    batches = after.batches - before.batches
    calls = after.calls - before.calls
    waited_s = after.queue_wait_s - before.queue_wait_s
    return ServerFigures(
        at_s=round(after.at - zero, 3),
        rps=round((after.requests - before.requests) / seconds, 2),
        mean_batch_rows=(
            round((after.rows - before.rows) / batches, 2) if batches > 0 else None
        ),
        queue_wait_ms=round(waited_s / calls * 1e3, 3) if calls > 0 else None,
        queue_rows=after.queue_rows,
        in_progress=after.in_progress,
        refused=round(after.refused - before.refused),
        busy=(
            round((after.busy_s - before.busy_s) / seconds / after.replicas, 3)
            if after.replicas
            else None
        ),
    )


class ServerWatch(Repeated):
    """Asks for /metrics once a second, in a thread of its own.

    Args:
        url: Of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/metrics"
        super().__init__(self.take, every_s=_EVERY_S, end_s=2 * _TIMEOUT_S)
        self._asking = threading.Lock()
        self.samples: list[Sample] = []

    def take(self) -> None:
        """Take one sample more, at the beginning or the end of what is measured."""
        # One after the other, so that the samples are in the order of their times.
        with self._asking:
            found = _ask(self._url, time.monotonic)
            if found is not None:
                self.samples.append(found)


def _ask(url: str, now: Callable[[], float]) -> Sample | None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode("utf-8", "replace")
        return read_sample(text, now())
    except (OSError, http.client.HTTPException, ValueError):
        return None  # it is busy, dying, or no Headway
