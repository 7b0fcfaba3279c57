"""One second of the server as the live page shows it, from two snapshots around it.

The recorder makes one a second; observability/live/history keeps them as JSON.
"""

from collections.abc import Sequence

import msgspec

from headway.metrics import Family, Log
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    INFERENCE_SECONDS,
    QUEUE_ROWS,
    QUEUE_WAIT_SECONDS,
    RECENT_BATCHES,
    REFUSED,
    REPLICA_BUSY,
    REPLICA_BUSY_SECONDS,
    REQUEST_DURATION,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
    RUNNER_ROWS,
)
from headway.observability.live.quantile import Spread, spread
from headway.observability.live.snapshot import Snapshot

__all__ = ["RunnerSecond", "Second", "make_second"]

_RECENT_BATCHES = 4
"""Batches of each method and second that are drawn beside its learned costs."""


class RunnerSecond(msgspec.Struct, frozen=True, kw_only=True):
    """What one runner did in a second."""

    batches: float
    """A second; so are the rows."""
    rows: float
    sizes: list[int]
    """Batches by their size, in the buckets of `Totals.size_bounds`."""
    queue: int
    """Rows that wait at its end."""
    wait_ms: Spread | None
    """In the queue; None if nothing was taken out of it."""
    compute_ms: Spread | None
    """Of a batch; None if there was none."""
    busy: list[float]
    """Share of the time that each replica computed."""
    recent: dict[str, list[tuple[int, float]]]
    """Rows and milliseconds of some of the batches, by method."""


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """What the server did in a second."""

    number: int
    """Counted since the server started."""
    time: float
    """Unix time of its end."""
    answered: dict[str, float]
    """Requests answered a second by status code; so are the refusals by reason."""
    refused: dict[str, float]
    in_progress: int
    """Requests at its end."""
    latency_ms: Spread | None
    """None if nothing was answered."""
    runners: list[RunnerSecond]
    """In the order of the service."""


def make_second(
    before: Snapshot,
    after: Snapshot,
    *,
    number: int,
    time: float,
    runners: Sequence[str],
) -> Second:
    """Return what was counted between two snapshots, for a second.

    Args:
        before: At its beginning.
        after: At its end.
        number: Its number.
        time: Unix time of its end.
        runners: Their names.
    """
    return Second(
        number=number,
        time=round(time, 3),
        answered=_rates(before, after, REQUESTS, "code"),
        refused=_rates(before, after, REFUSED, "reason"),
        in_progress=int(after.total(REQUESTS_IN_PROGRESS)),
        latency_ms=_spread(before, after, REQUEST_DURATION),
        runners=[_runner(before, after, name) for name in runners],
    )


def _runner(before: Snapshot, after: Snapshot, name: str) -> RunnerSecond:
    seconds = after.at - before.at
    *sizes, _ = _grown(before, after, BATCH_SIZE_ROWS, runner=name)
    rows = after.total(RUNNER_ROWS, runner=name) - before.total(
        RUNNER_ROWS, runner=name
    )
    return RunnerSecond(
        batches=round(sum(sizes) / seconds, 2),
        rows=round(max(rows, 0.0) / seconds, 2),
        sizes=sizes,
        queue=int(after.total(QUEUE_ROWS, runner=name)),
        wait_ms=_spread(before, after, QUEUE_WAIT_SECONDS, runner=name),
        compute_ms=_spread(before, after, INFERENCE_SECONDS, runner=name),
        busy=_busy(before, after, name),
        recent=_recent(before, after, name),
    )


def _rates(
    before: Snapshot, after: Snapshot, family: Family, label: str
) -> dict[str, float]:
    earlier = before.totals(family, label)
    return {
        value: round(
            max(total - earlier.get(value, 0.0), 0.0) / (after.at - before.at), 2
        )
        for value, total in sorted(after.totals(family, label).items())
    }


def _grown(
    before: Snapshot, after: Snapshot, family: Family, **labels: str
) -> list[int]:
    """Return by how much a histogram's cells grew."""
    later = after.cells(family, **labels)
    earlier = before.cells(family.with_bounds(after.bounds(family)), **labels)
    return [max(b - a, 0) for a, b in zip(earlier, later, strict=True)]


def _spread(
    before: Snapshot, after: Snapshot, family: Family, **labels: str
) -> Spread | None:
    cells = _grown(before, after, family, **labels)
    return spread(cells, after.bounds(family), family.scale)


def _busy(before: Snapshot, after: Snapshot, name: str) -> list[float]:
    """Return the share of the time that each replica computed.

    A batch counts when it is done. So a replica that is at one that takes longer than
    a second is busy all the same.
    """
    shares = []
    for sample in after.series(REPLICA_BUSY_SECONDS, runner=name):
        labels = {"runner": name, "replica": sample.labels[1]}
        grown = sample.value - before.total(REPLICA_BUSY_SECONDS, **labels)
        if not grown and after.total(REPLICA_BUSY, **labels):
            grown = after.at - before.at
        shares.append(round(min(max(grown / (after.at - before.at), 0.0), 1.0), 3))
    return shares


def _recent(
    before: Snapshot, after: Snapshot, name: str
) -> dict[str, list[tuple[int, float]]]:
    recent = {}
    for sample in after.series(RECENT_BATCHES, runner=name):
        method = sample.labels[1]
        earlier = before.series(RECENT_BATCHES, runner=name, method=method)
        since = earlier[0].cells[0] if earlier else 0
        events = Log.events(sample.cells, since)
        step = max(-(-len(events) // _RECENT_BATCHES), 1)
        if events:
            recent[method] = [(rows, round(ns / 1e6, 3)) for rows, ns in events[::step]]
    return recent
