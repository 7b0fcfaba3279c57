"""The figures of the live page: each second of the server, and its totals.

recorder computes both once a second from the counters of all processes; history keeps
them as JSON, and assets/live.js and assets/charts.js read them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from headway.metrics import Family, Log, Sample, families

_RECENT_BATCHES = 4
"""Batches per method and second, drawn beside the learned costs."""
_MOST_ANSWERS = 200
"""Maximum pairs of endpoint and status code; the most frequent are kept."""
_TOTALS = {
    "rows": families.RUNNER_ROWS,
    "cancelled_rows": families.CANCELLED_ROWS,
    "wasted_rows": families.WASTED_ROWS,
    "isolation_calls": families.ISOLATION_CALLS,
}


class Snapshot:
    """The counters of all processes at one time.

    Args:
        samples: One for each series.
        at: Monotonic time.
    """

    def __init__(self, samples: Iterable[Sample], at: float) -> None:
        self.at = at
        self._by_family: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            self._by_family[sample.family.name].append(sample)

    def series(self, family: Family, **labels: str) -> list[Sample]:
        """Return the samples of a family with these labels."""
        wanted = [(family.labels.index(name), labels[name]) for name in labels]
        return [
            sample
            for sample in self._by_family[family.name]
            if all(sample.labels[at] == value for at, value in wanted)
        ]

    def total(self, family: Family, **labels: str) -> float:
        """Return the sum of a counter or gauge over the other labels."""
        return sum(sample.value for sample in self.series(family, **labels))

    def totals(self, family: Family, by: str) -> Mapping[str, float]:
        """Return the sums of a counter or gauge for each value of a label, sorted."""
        at = family.labels.index(by)
        sums: dict[str, float] = defaultdict(float)
        for sample in self._by_family[family.name]:
            sums[sample.labels[at]] += sample.value
        return dict(sorted(sums.items()))

    def cells(self, family: Family, **labels: str) -> Sequence[int]:
        """Return the cells of a histogram, summed over the other labels."""
        series = self.series(family, **labels)
        if not series:
            return [0] * (len(self.bounds(family)) + 2)
        return [sum(cells) for cells in zip(*(s.cells for s in series), strict=True)]

    def bounds(self, family: Family) -> tuple[float, ...]:
        """Return the bounds of a histogram, which the configuration may change."""
        series = self._by_family[family.name]
        return series[0].family.bounds if series else family.bounds


class _Interval(NamedTuple):
    """What was counted between two snapshots."""

    before: Snapshot
    after: Snapshot

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    def rate(self, grown: float) -> float:
        return round(max(grown, 0.0) / self.seconds, 2)

    def grown(self, family: Family, **labels: str) -> float:
        return self.after.total(family, **labels) - self.before.total(family, **labels)

    def rates(self, family: Family, label: str) -> dict[str, float]:
        earlier = self.before.totals(family, label)
        return {
            value: self.rate(total - earlier.get(value, 0.0))
            for value, total in self.after.totals(family, label).items()
        }

    def cells(self, family: Family, **labels: str) -> list[int]:
        """Return the growth of a histogram's cells."""
        later = self.after.cells(family, **labels)
        earlier = self.before.cells(family, **labels)
        if len(earlier) != len(later):  # no series yet, and other bounds now
            earlier = [0] * len(later)
        return [max(b - a, 0) for a, b in zip(earlier, later, strict=True)]

    def spread(self, family: Family, **labels: str) -> list[float] | None:
        cells = self.cells(family, **labels)
        return spread(cells, self.after.bounds(family), family.scale)

    def busy(self, runner: str) -> list[float]:
        """Return the share of time in which each replica computed.

        Compute time is counted when a batch ends. A replica in a batch longer than a
        second is busy all the same.
        """
        shares = []
        for sample in self.after.series(families.REPLICA_BUSY_SECONDS, runner=runner):
            labels = {"runner": runner, "replica": sample.labels[1]}
            grown = self.grown(families.REPLICA_BUSY_SECONDS, **labels)
            if not grown and self.after.total(families.REPLICA_BUSY, **labels):
                grown = self.seconds
            shares.append(round(min(max(grown / self.seconds, 0.0), 1.0), 3))
        return shares

    def recent(self, runner: str) -> dict[str, list[tuple[int, float]]]:
        """Return rows and milliseconds of some batches of each method."""
        recent = {}
        for sample in self.after.series(families.RECENT_BATCHES, runner=runner):
            method = sample.labels[1]
            earlier = self.before.series(
                families.RECENT_BATCHES, runner=runner, method=method
            )
            events = Log.events(sample.cells, earlier[0].cells[0] if earlier else 0)
            step = max(-(-len(events) // _RECENT_BATCHES), 1)
            if events:
                some = events[::step]
                recent[method] = [(rows, round(ns / 1e6, 3)) for rows, ns in some]
        return recent

    def runner(self, name: str) -> dict[str, Any]:
        *sizes, _ = self.cells(families.BATCH_SIZE_ROWS, runner=name)
        return {
            "batches": self.rate(sum(sizes)),  # per second
            "rows": self.rate(self.grown(families.RUNNER_ROWS, runner=name)),
            "sizes": sizes,  # batches in each bucket of size_bounds
            "queue": int(self.after.total(families.QUEUE_ROWS, runner=name)),
            "wait_ms": self.spread(families.QUEUE_WAIT_SECONDS, runner=name),
            "compute_ms": self.spread(families.INFERENCE_SECONDS, runner=name),
            "busy": self.busy(name),
            "recent": self.recent(name),
        }


def make_second(
    before: Snapshot, after: Snapshot, *, time: float, runners: Sequence[str]
) -> dict[str, Any]:
    """Return the figures of a second; `time` is the Unix time of its end."""
    interval = _Interval(before, after)
    return {
        "time": round(time, 3),
        "answered": interval.rates(families.REQUESTS, "code"),  # per second
        "refused": interval.rates(families.REFUSED, "reason"),  # per second
        "in_progress": int(after.total(families.REQUESTS_IN_PROGRESS)),
        "latency_ms": interval.spread(families.REQUEST_DURATION),
        "runners": [interval.runner(name) for name in runners],
    }


def make_totals(snapshot: Snapshot, runners: Sequence[str]) -> dict[str, Any]:
    """Return the totals at a snapshot, for the runners of these names."""
    answered = [
        (endpoint, code, int(sample.value))
        for sample in snapshot.series(families.REQUESTS)
        for endpoint, code in (sample.labels,)
    ]
    answered.sort(key=lambda entry: -entry[2])
    restarts = _integers(snapshot.totals(families.PROCESS_RESTARTS, "process"))
    return {
        "answered": sorted(answered[:_MOST_ANSWERS]),
        "refused": _integers(snapshot.totals(families.REFUSED, "reason")),
        "restarts": restarts,
        "size_bounds": [
            int(bound) for bound in snapshot.bounds(families.BATCH_SIZE_ROWS)
        ],
        "runners": [_runner_totals(snapshot, name, restarts) for name in runners],
    }


def _integers(totals: Mapping[str, float]) -> dict[str, int]:
    return {label: int(total) for label, total in totals.items()}


def _runner_totals(
    snapshot: Snapshot, name: str, restarts: Mapping[str, int]
) -> dict[str, Any]:
    *sizes, _ = snapshot.cells(families.BATCH_SIZE_ROWS, runner=name)
    ups = snapshot.series(families.REPLICA_UP, runner=name)
    # The only replica of a runner is in the runner's own process.
    process = f"replica-{name}-{{}}" if len(ups) > 1 else f"runner-{name}"
    return {
        "name": name,
        "batches": sum(sizes),
        "replicas": [
            {
                "number": number,
                "is_up": bool(sample.value),
                "is_busy": bool(
                    snapshot.total(families.REPLICA_BUSY, runner=name, replica=number)
                ),
                "restarts": restarts.get(process.format(number), 0),
            }
            for sample in ups
            for number in (sample.labels[1],)
        ],
        "costs": _costs(snapshot, name),
        **{
            field: int(snapshot.total(family, runner=name))
            for field, family in _TOTALS.items()
        },
    }


def _costs(snapshot: Snapshot, name: str) -> dict[str, list[tuple[int, float, float]]]:
    """Return rows, mean and tail in milliseconds of the known costs, by method."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for sample in snapshot.series(families.BATCH_COST_SECONDS, runner=name):
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


def quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float:
    """Return the value that a share of the observations does not exceed.

    As in Prometheus, observations are assumed to be spread evenly within a bucket;
    values above all bounds count as the last bound.

    Args:
        buckets: Observations by bucket, at least one in all: one bucket for each bound,
            and one above.
        bounds: Upper bounds, ascending.
        share: Above 0, up to 1.
    """
    wanted = share * sum(buckets)
    below = 0
    for at, total in enumerate(accumulate(buckets[:-1])):
        if total >= wanted:
            lower = bounds[at - 1] if at else 0.0
            inside = (wanted - below) / (total - below)
            return lower + inside * (bounds[at] - lower)
        below = total
    return bounds[-1]


def spread(
    cells: Sequence[int], bounds: Sequence[float], scale: int
) -> list[float] | None:
    """Return mean, p50, p90 and p99 in ms of a histogram; None if it is empty."""
    *buckets, total = cells
    count = sum(buckets)
    if not count:
        return None
    quantiles = [quantile(buckets, bounds, share) for share in (0.5, 0.9, 0.99)]
    return [round(1000 * value, 3) for value in (total / scale / count, *quantiles)]
