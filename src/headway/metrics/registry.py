"""Counters, gauges, histograms and logs over one process's metrics file.

Each process has one MetricsRegistry. Hot paths keep the handles that it returns, and
count without a lock: only one thread may write to a handle.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TypeVar

from headway.errors import UsageError
from headway.metrics.families import LOG_EVENTS, Family
from headway.metrics.metrics_file import SeriesRecord, add_entry, map_file

_H = TypeVar("_H", bound="_Handle")


class _Handle:
    """A series that this process writes.

    Args:
        cells: The integers of the metrics file.
        index: The first cell of the series.
        family: Its family.
    """

    __slots__ = ("_cells", "_index")

    def __init__(self, cells: memoryview, index: int, family: Family) -> None:
        self._cells = cells
        self._index = index


class Counter(_Handle):
    """A number that only grows."""

    __slots__ = ()

    def add(self, n: int = 1) -> None:
        """Add `n`, in stored units; it is not negative."""
        self._cells[self._index] += n


class Gauge(_Handle):
    """A number that goes up and down; 0 when its process starts."""

    __slots__ = ()

    def set(self, value: int) -> None:
        """Set it to `value`, in stored units."""
        self._cells[self._index] = value


class Histogram(_Handle):
    """Observations by bucket, and their sum.

    Its cells are a bucket for each bound, one for larger values, and the sum.
    """

    __slots__ = ("_bounds", "_scale", "_sum")

    def __init__(self, cells: memoryview, index: int, family: Family) -> None:
        super().__init__(cells, index, family)
        self._bounds = family.bounds
        self._scale = family.scale
        self._sum = index + len(family.bounds) + 1

    def observe(self, value: float) -> None:
        """Count one observation, in the family's unit and finite."""
        # The number of observations is the sum of the buckets: it costs nothing here
        # and always agrees with them.
        cells = self._cells
        cells[self._index + bisect_left(self._bounds, value)] += 1
        cells[self._sum] += int(value * self._scale)

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several observations, which costs less than one by one."""
        cells, index, bounds = self._cells, self._index, self._bounds
        # Values of one turn of the event loop are alike: most fall into the bucket of
        # the value before.
        low, high, bucket, count = math.inf, -math.inf, 0, 0
        for value in values:
            if low < value <= high:
                count += 1
                continue
            cells[index + bucket] += count
            bucket = bisect_left(bounds, value)
            low = bounds[bucket - 1] if bucket else -math.inf
            high = bounds[bucket] if bucket < len(bounds) else math.inf
            count = 1
        cells[index + bucket] += count
        cells[self._sum] += int(sum(values, start=0.0) * self._scale)


class Log(_Handle):
    """The last events, of two integers each.

    Its cells are the number of all events, then the last events in a ring.
    """

    __slots__ = ()

    def add(self, first: int, second: int) -> None:
        """Store an event in the place of the oldest."""
        cells, index = self._cells, self._index
        count = cells[index]
        at = index + 1 + 2 * (count % LOG_EVENTS)
        cells[at] = first
        cells[at + 1] = second
        cells[index] = count + 1  # last, as readers rely on it

    @staticmethod
    def events(cells: Sequence[int], since: int) -> list[tuple[int, int]]:
        """Return the stored events after the first `since` of all events."""
        count = cells[0]
        return [
            (cells[1 + 2 * at], cells[2 + 2 * at])
            for number in range(max(since, count - LOG_EVENTS), count)
            for at in (number % LOG_EVENTS,)
        ]


class MetricsRegistry:
    """The metrics of one process.

    Args:
        path: The metrics file, which no other process writes; None counts in memory.
        duration_bounds_s: Upper bounds of the buckets of all histograms of seconds,
            in place of their families' own.

    Attributes:
        cells: The integers that handles write.
        series: The series of the file.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        duration_bounds_s: tuple[float, ...] | None = None,
    ) -> None:
        self._path = path
        self._duration_bounds_s = duration_bounds_s
        self._started = False
        self._lock = Lock()
        self._handles: dict[tuple[str, tuple[str, ...]], _Handle] = {}
        self.series: list[SeriesRecord] = []

    def start(self) -> None:
        """Map the file; counters continue from an earlier process, gauges are 0.

        Raises:
            OSError: If the file cannot be written.
        """
        self._memory, self.cells, self.series = map_file(self._path)
        self._next_cell = max([one.end for one in self.series], default=0)
        for one in self.series:
            if one.family.kind == "gauge":
                self.cells[one.cell] = 0
        self._started = True

    def close(self) -> None:
        """Create no more handles; existing handles stay safe to call."""
        self._started = False

    def counter(self, family: Family, labels: tuple[str, ...] = ()) -> Counter:
        """Return the counter of a family with these label values, always the same.

        Raises:
            UsageError: If the family is not a counter, the labels do not fit it, the
                file is full or the registry is not started.
        """
        return self._handle(Counter, family, labels)

    def gauge(self, family: Family, labels: tuple[str, ...] = ()) -> Gauge:
        """Return the gauge of a family with these label values; see `counter`."""
        return self._handle(Gauge, family, labels)

    def histogram(self, family: Family, labels: tuple[str, ...] = ()) -> Histogram:
        """Return the histogram of a family with these label values; see `counter`."""
        return self._handle(Histogram, family, labels)

    def log(self, family: Family, labels: tuple[str, ...] = ()) -> Log:
        """Return the log of a family with these label values; see `counter`."""
        return self._handle(Log, family, labels)

    def _handle(self, kind: type[_H], family: Family, labels: tuple[str, ...]) -> _H:
        handle = self._handles.get((family.name, labels))
        if handle is None:
            with self._lock:
                handle = self._create(kind, family, labels)
                handle = self._handles.setdefault((family.name, labels), handle)
        assert isinstance(handle, kind)
        return handle

    def _create(self, kind: type[_H], family: Family, labels: tuple[str, ...]) -> _H:
        if not self._started:
            raise UsageError(f"metric {family.name}: the registry is not started")
        wanted = kind.__name__.lower()
        if family.kind != wanted:
            raise UsageError(f"metric {family.name} is a {family.kind}, not a {wanted}")
        if len(labels) != len(family.labels):
            raise UsageError(
                f"metric {family.name} has the labels {family.labels!r}; "
                f"{labels!r} does not fit"
            )
        bounds_s = self._duration_bounds_s
        if kind is Histogram and family.unit == "seconds" and bounds_s is not None:
            family = family.with_bounds(bounds_s)
        for one in self.series:
            if one.family == family and one.labels == labels:
                return kind(self.cells, one.cell, family)
        new = SeriesRecord(family, labels, self._next_cell)
        if not add_entry(self._memory, new):
            raise UsageError(
                f"metric {family.name}: no room for the series {labels!r} beside the "
                f"{len(self.series)} that this process has; a label must take few "
                "values"
            )
        self._next_cell = new.end
        self.series.append(new)
        return kind(self.cells, new.cell, family)
