"""What the live page shows of now: totals since the start, replicas, learned costs.

The recorder makes it with each second; only the last one is kept.
"""

from collections.abc import Mapping, Sequence

import msgspec

from headway.metrics.families import (
    BATCH_COST_SECONDS,
    BATCH_SIZE_ROWS,
    CANCELLED_ROWS,
    ISOLATION_CALLS,
    PROCESS_RESTARTS,
    REFUSED,
    REPLICA_BUSY,
    REPLICA_UP,
    REQUESTS,
    RUNNER_ROWS,
    WASTED_ROWS,
)
from headway.observability.live.snapshot import Snapshot

__all__ = ["ReplicaState", "RunnerTotals", "Totals", "make_totals"]

_MOST_ANSWERS = 200
"""Pairs of endpoint and code that are told of: those most seen."""


class ReplicaState(msgspec.Struct, frozen=True):
    """A replica now."""

    number: str
    is_up: bool
    is_busy: bool
    restarts: int
    """Of the process that it is in."""


class RunnerTotals(msgspec.Struct, frozen=True, kw_only=True):
    """A runner now, and since the start."""

    name: str
    batches: int
    rows: int
    cancelled_rows: int
    wasted_rows: int
    isolation_calls: int
    replicas: list[ReplicaState]
    costs: dict[str, list[tuple[int, float, float]]]
    """Rows, mean and tail in milliseconds of what is learned, by method."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The server now, and since the start."""

    answered: list[tuple[str, str, int]]
    """Endpoint, status code, requests."""
    refused: dict[str, int]
    """By reason."""
    restarts: dict[str, int]
    """By process."""
    size_bounds: list[int]
    """Upper bounds of the buckets of batch sizes, without that of the last."""
    runners: list[RunnerTotals]


def make_totals(snapshot: Snapshot, runners: Sequence[str]) -> Totals:
    """Return the totals of a snapshot.

    Args:
        snapshot: Of all processes.
        runners: Their names.
    """
    answered = [
        (endpoint, code, int(sample.value))
        for sample in snapshot.series(REQUESTS)
        for endpoint, code in (sample.labels,)
    ]
    most = sorted(answered, key=lambda entry: -entry[2])[:_MOST_ANSWERS]
    restarts = _integers(snapshot.totals(PROCESS_RESTARTS, "process"))
    return Totals(
        answered=sorted(most),
        refused=_integers(snapshot.totals(REFUSED, "reason")),
        restarts=restarts,
        size_bounds=[int(bound) for bound in snapshot.bounds(BATCH_SIZE_ROWS)],
        runners=[_runner(snapshot, name, restarts) for name in runners],
    )


def _integers(totals: Mapping[str, float]) -> dict[str, int]:
    return {label: int(total) for label, total in sorted(totals.items())}


def _runner(snapshot: Snapshot, name: str, restarts: dict[str, int]) -> RunnerTotals:
    *sizes, _ = snapshot.cells(BATCH_SIZE_ROWS, runner=name)
    return RunnerTotals(
        name=name,
        batches=sum(sizes),
        rows=int(snapshot.total(RUNNER_ROWS, runner=name)),
        cancelled_rows=int(snapshot.total(CANCELLED_ROWS, runner=name)),
        wasted_rows=int(snapshot.total(WASTED_ROWS, runner=name)),
        isolation_calls=int(snapshot.total(ISOLATION_CALLS, runner=name)),
        replicas=_replicas(snapshot, name, restarts),
        costs=_costs(snapshot, name),
    )


def _replicas(
    snapshot: Snapshot, name: str, restarts: dict[str, int]
) -> list[ReplicaState]:
    ups = snapshot.series(REPLICA_UP, runner=name)
    # The only replica of a runner is in the runner's own process.
    process = f"replica-{name}-{{}}" if len(ups) > 1 else f"runner-{name}"
    return [
        ReplicaState(
            number=number,
            is_up=bool(sample.value),
            is_busy=bool(snapshot.total(REPLICA_BUSY, runner=name, replica=number)),
            restarts=restarts.get(process.format(number), 0),
        )
        for sample in ups
        for number in (sample.labels[1],)
    ]


def _costs(snapshot: Snapshot, name: str) -> dict[str, list[tuple[int, float, float]]]:
    """Return the learned costs; sizes of which nothing is known are left out."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for sample in snapshot.series(BATCH_COST_SECONDS, runner=name):
        _, method, rows, statistic = sample.labels
        if sample.value:
            size = found.setdefault(method, {}).setdefault(int(rows), {})
            size[statistic] = round(1000 * sample.value, 4)
    return {
        method: [
            (rows, costs["mean"], costs["tail"])
            for rows, costs in sorted(sizes.items())
            if len(costs) == 2
        ]
        for method, sizes in found.items()
    }
