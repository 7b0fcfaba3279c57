"""Watches a server under load: its metrics once a second, and its liveness.

load runs a ServerWatch beside Locust, and the walk a LivenessProbe. A server without
Headway's metrics yields no figures, and the load continues.
"""

import http.client
import threading
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

_EVERY_S = 1.0
_TIMEOUT_S = 5.0
_PROBE_EVERY_S = 0.05
_PROBE_TIMEOUT_S = 30.0


class PeriodicThread:
    """Runs `action` periodically in a thread while entered.

    Args:
        action: What to run; it must end by itself and not raise.
        every_s: Seconds between its end and its next start.
        end_s: How long the exit waits for a running action.
    """

    def __init__(
        self, action: Callable[[], None], *, every_s: float, end_s: float
    ) -> None:
        self._action = action
        self._every_s = every_s
        self._end_s = end_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(self._end_s)

    def _repeat(self) -> None:
        while not self._over.wait(self._every_s):
            self._action()


class ServerSample(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the server's start, and its gauges."""

    at: float
    """Monotonic time."""
    requests: float
    """Requests answered."""
    refused: float
    batches: float
    rows: float
    """Rows in these batches."""
    queue_wait_s: float
    """Total over all calls."""
    calls: float
    busy_s: float
    """Compute time of all replicas."""
    replicas: float
    queue_rows: float
    in_progress: float


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The server's own figures of a time span."""

    at_s: float
    """End of the span, from the start of the load."""
    rps: float
    mean_batch_rows: float | None
    """None if there was no batch."""
    queue_wait_ms: float | None
    """Mean, from a call's arrival in the runner to its dispatch."""
    queue_rows: float
    in_progress: float
    refused: int
    busy: float | None
    """Share of time in which the replicas computed; None if there are no replicas."""


# Metric name -> field; of histograms, the sum and the count.
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


def read_sample(text: str, at: float) -> ServerSample | None:
    """Return the sample in a text of /metrics; None if it has no Headway metrics."""
    totals = dict.fromkeys(_FIELDS.values(), 0.0)
    found = False
    # Skips the buckets of histograms, which are most of the lines.
    lines = [line for line in text.splitlines() if line.partition("{")[0] in _FIELDS]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            field = _FIELDS.get(sample.name)
            if field is not None:
                totals[field] += sample.value
                found = True
    return ServerSample(at=at, **totals) if found else None


def between(
    samples: list[ServerSample], began: float, ended: float, *, zero: float
) -> ServerFigures | None:
    """Return the server's figures of a time span; None if it has too few samples.

    Args:
        samples: All samples of the load.
        began: Start of the span, monotonic.
        ended: End of the span, monotonic.
        zero: Start of the load, monotonic.
    """
    inside = [one for one in samples if began <= one.at <= ended]
    if len(inside) < 2:
        return None
    return _difference(inside[0], inside[-1], zero)


def per_second(samples: list[ServerSample], *, zero: float) -> list[ServerFigures]:
    """Return the server's figures between samples at least half a second apart."""
    apart: list[ServerSample] = []
    for one in samples:
        if not apart or one.at - apart[-1].at >= _EVERY_S / 2:
            apart.append(one)
    return [_difference(before, after, zero) for before, after in pairwise(apart)]


def _difference(
    before: ServerSample, after: ServerSample, zero: float
) -> ServerFigures:
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


class ServerWatch(PeriodicThread):
    """Reads /metrics once a second, in its own thread.

    Args:
        url: URL of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/metrics"
        super().__init__(self.take, every_s=_EVERY_S, end_s=2 * _TIMEOUT_S)
        self._reading = threading.Lock()
        self.samples: list[ServerSample] = []

    def take(self) -> None:
        """Take an extra sample, at the start or the end of a measurement."""
        # One at a time, so that the samples are in the order of their times.
        with self._reading:
            found = _fetch_sample(self._url, time.monotonic)
            if found is not None:
                self.samples.append(found)


def _fetch_sample(url: str, now: Callable[[], float]) -> ServerSample | None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode("utf-8", "replace")
        return read_sample(text, now())
    except (OSError, http.client.HTTPException, ValueError):
        return None  # busy, stopping, or not a Headway server


class LivenessProbe(PeriodicThread):
    """Requests /livez repeatedly, in its own thread.

    Args:
        url: URL of the server.
    """

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://")
        super().__init__(self._probe, every_s=_PROBE_EVERY_S, end_s=_PROBE_TIMEOUT_S)
        self._took_s: list[float] = []

    @property
    def p99_ms(self) -> float:
        """Latency of the requests; without an answer, the waiting time counts."""
        if not self._took_s:
            return float("nan")
        return float(np.quantile(self._took_s, 0.99, method="higher")) * 1e3

    def _probe(self) -> None:
        began = time.monotonic()
        connection = http.client.HTTPConnection(self._address, timeout=_PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/livez")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # its time counts all the same
        finally:
            connection.close()
        self._took_s.append(time.monotonic() - began)
