"""Hands out counters, gauges and histograms over one process's slot.

assemble makes one for each process; api/, runner/ and the supervisor count by it.
"""

from pathlib import Path
from threading import Lock

from headway.errors import UsageError
from headway.metrics.families import Family
from headway.metrics.handles import Counter, Gauge, Histogram, Log
from headway.metrics.samples import Sample, merge
from headway.metrics.slot import SeriesRecord, Slot, cells_of

__all__ = ["MetricsRegistry"]

_Key = tuple[str, tuple[str, ...]]


class MetricsRegistry:
    """The metrics of one process.

    Args:
        path: The process's slot, `<run_dir>/metrics/<slot>.bin`, which no other
            process writes to; None counts in memory only.
        duration_bounds_s: Upper bounds of the buckets of all histograms of seconds,
            in place of their families' own.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        duration_bounds_s: tuple[float, ...] | None = None,
    ) -> None:
        self._slot = Slot(path)
        self._duration_bounds_s = duration_bounds_s
        self._started = False
        self._lock = Lock()
        self._counters: dict[_Key, Counter] = {}
        self._gauges: dict[_Key, Gauge] = {}
        self._histograms: dict[_Key, Histogram] = {}
        self._logs: dict[_Key, Log] = {}

    def start(self) -> None:
        """Open the slot; counters go on where an earlier process left them.

        Raises:
            OSError: If the file cannot be written.
        """
        self._slot.start()
        self._started = True

    def close(self) -> None:
        """Hand out no more; handles that are out stay safe to call."""
        self._started = False

    def counter(self, family: Family, labels: tuple[str, ...] = ()) -> Counter:
        """Return the counter of a family with these label values, always the same.

        Raises:
            UsageError: If the family is no counter, the labels do not fit it, the
                slot is full or the registry has not been started.
        """
        found = self._counters.get((family.name, labels))
        if found is not None:
            return found
        with self._lock:
            record = self._record(family, labels, "counter")
            made = Counter(self._slot.cells, record.cell)
            return self._counters.setdefault((family.name, labels), made)

    def gauge(self, family: Family, labels: tuple[str, ...] = ()) -> Gauge:
        """Return the gauge of a family with these label values, always the same.

        Raises:
            UsageError: As `counter`.
        """
        found = self._gauges.get((family.name, labels))
        if found is not None:
            return found
        with self._lock:
            record = self._record(family, labels, "gauge")
            made = Gauge(self._slot.cells, record.cell)
            return self._gauges.setdefault((family.name, labels), made)

    def histogram(self, family: Family, labels: tuple[str, ...] = ()) -> Histogram:
        """Return the histogram of a family with these label values, always the same.

        Raises:
            UsageError: As `counter`.
        """
        found = self._histograms.get((family.name, labels))
        if found is not None:
            return found
        if self._duration_bounds_s is not None and family.unit == "seconds":
            family = family.with_bounds(self._duration_bounds_s)
        with self._lock:
            record = self._record(family, labels, "histogram")
            made = Histogram(self._slot.cells, record.cell, family.bounds, family.scale)
            return self._histograms.setdefault((family.name, labels), made)

    def log(self, family: Family, labels: tuple[str, ...] = ()) -> Log:
        """Return the log of a family with these label values, always the same.

        Raises:
            UsageError: As `counter`.
        """
        found = self._logs.get((family.name, labels))
        if found is not None:
            return found
        with self._lock:
            record = self._record(family, labels, "log")
            made = Log(self._slot.cells, record.cell)
            return self._logs.setdefault((family.name, labels), made)

    def samples(self) -> list[Sample]:
        """Return what this process has counted."""
        with self._lock:
            records = list(self._slot.records)
        cells = self._slot.cells
        return merge(
            Sample(
                record.family,
                record.labels,
                tuple(cells[record.cell : record.cell + cells_of(record.family)]),
            )
            for record in records
        )

    def _record(
        self, family: Family, labels: tuple[str, ...], kind: str
    ) -> SeriesRecord:
        if not self._started:
            raise UsageError(f"metric {family.name}: the registry is not started")
        if family.kind != kind:
            raise UsageError(f"metric {family.name} is a {family.kind}, not a {kind}")
        if len(labels) != len(family.labels):
            raise UsageError(
                f"metric {family.name} has the labels {family.labels!r}; "
                f"{labels!r} does not fit"
            )
        for record in self._slot.records:
            if record.family == family and record.labels == labels:
                return record
        return self._slot.append(family, labels)
