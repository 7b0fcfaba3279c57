"""A process's metrics file: integers that outlive the process.

    header      8 int64: magic, bytes of directory in use, the rest spare
    directory   entries, each 4 bytes of length and a SeriesRecord in JSON
    cells       int64, assigned to series from the first on

The file is mapped into its one writer (MetricsRegistry), so that counting is a store to
memory, which SIGKILL does not undo. An entry counts once the header's second word
covers it, which is written last: readers see whole entries only. `/metrics` and the
live page read and add up the files of all processes.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

import msgspec

from headway.metrics.families import Family

_MAGIC = int.from_bytes(b"HDWYMET1", "little")
_HEADER_BYTES = 64
_DIRECTORY_BYTES = 512 * 1024
_CELLS = 32 * 1024
_CELLS_AT = _HEADER_BYTES + _DIRECTORY_BYTES
_FILE_BYTES = _CELLS_AT + 8 * _CELLS


class SeriesRecord(msgspec.Struct, frozen=True):
    """One series of a metrics file."""

    family: Family
    labels: tuple[str, ...]
    """Values in the order of `family.labels`."""
    cell: int
    """Index of its first cell."""

    @property
    def end(self) -> int:
        """Index after its last cell."""
        return self.cell + self.family.cells


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SeriesRecord)


def map_file(path: Path | None) -> tuple[memoryview, memoryview, list[SeriesRecord]]:
    """Return the memory of a file, its cells and the series of an earlier process.

    Args:
        path: The file; None keeps the cells in this process's memory.

    Raises:
        OSError: If the file cannot be written.
    """
    memory = memoryview(bytearray(_FILE_BYTES) if path is None else _map(path))
    memory[:8] = _MAGIC.to_bytes(8, "little")
    series = list(_entries(memory[:_CELLS_AT]))
    return memory, memory[_CELLS_AT:].cast("q"), series


def add_entry(memory: memoryview, series: SeriesRecord) -> bool:
    """Add a series to the directory; return False if it is full."""
    entry = _encoder.encode(series)
    header = memory[:_HEADER_BYTES].cast("q")
    start = _HEADER_BYTES + header[1]
    end = start + 4 + len(entry)
    if end > _CELLS_AT or series.end > _CELLS:
        return False
    # A writer that was killed here may have left part of an entry, but no handle had
    # these cells, so they are 0.
    memory[start:end] = len(entry).to_bytes(4, "little") + entry
    header[1] = end - _HEADER_BYTES
    return True


def _map(path: Path) -> mmap.mmap:
    """Return the file in memory; a new one if it is absent or damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _is_sound(path):
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            # Reserve the blocks: on a full disk, a store to a page without a block
            # would end the process with SIGBUS.
            os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
            file.write(_MAGIC.to_bytes(8, "little"))
        fresh.replace(path)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _FILE_BYTES)


def _is_sound(path: Path) -> bool:
    try:
        if path.stat().st_size != _FILE_BYTES:
            return False
        with path.open("rb") as file:
            head = memoryview(file.read(_CELLS_AT))
    except FileNotFoundError:
        return False
    if int.from_bytes(head[:8], "little") != _MAGIC:
        return False
    used = int.from_bytes(head[8:16], "little")
    return used == sum(4 + len(_encoder.encode(entry)) for entry in _entries(head))


def _entries(head: memoryview) -> Iterator[SeriesRecord]:
    """Yield the published entries, up to the first that makes no sense."""
    used = int.from_bytes(head[8:16], "little", signed=True)
    at = _HEADER_BYTES
    end = min(_HEADER_BYTES + used, len(head))
    while at + 4 <= end:
        length = int.from_bytes(head[at : at + 4], "little")
        at += 4
        if at + length > end:
            return
        try:
            one = _decoder.decode(head[at : at + length])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        at += length
        sound = len(one.labels) == len(one.family.labels) and one.cell >= 0
        if not sound or one.end > _CELLS:
            return
        yield one


def read_file(path: Path) -> list[tuple[SeriesRecord, tuple[int, ...]]]:
    """Return the series of a metrics file and their cells; its writer may go on.

    A file that is absent or of another format has none.
    """
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < _FILE_BYTES:
                return []
            header = file.read(_HEADER_BYTES)
            if int.from_bytes(header[:8], "little") != _MAGIC:
                return []
            # Read only what is in use: this runs once a second for each process.
            used = int.from_bytes(header[8:16], "little", signed=True)
            used = min(max(used, 0), _DIRECTORY_BYTES)
            series = list(_entries(memoryview(header + file.read(used))))
            cells = max((one.end for one in series), default=0)
            values = memoryview(os.pread(file.fileno(), 8 * cells, _CELLS_AT)).cast("q")
    except FileNotFoundError:
        return []
    return [(one, tuple(values[one.cell : one.end])) for one in series]


def zero_gauges(path: Path) -> None:
    """Set the gauges of a dead process to 0.

    It has no requests in progress until it is restarted.
    """
    series = read_file(path)
    if series:
        with path.open("r+b", buffering=0) as file:
            for one, _ in series:
                if one.family.kind == "gauge":
                    os.pwrite(file.fileno(), bytes(8), _CELLS_AT + 8 * one.cell)


class Sample(msgspec.Struct, frozen=True):
    """One series and its value."""

    family: Family
    labels: tuple[str, ...]
    """Values in the order of `family.labels`."""
    cells: tuple[int, ...]
    """Value of a counter or gauge; buckets of a histogram, then the sum; number of a
    log's events, then the last ones."""

    @property
    def value(self) -> float:
        """Value of a counter or gauge, in the family's unit."""
        scale = self.family.scale
        return self.cells[0] if scale == 1 else self.cells[0] / scale

    @property
    def cumulative(self) -> list[int]:
        """Observations up to each bound of a histogram, and all of them."""
        return list(accumulate(self.cells[:-1]))

    @property
    def sum(self) -> float:
        """Sum of a histogram's observations, in the family's unit."""
        return self.cells[-1] / self.family.scale


def read_samples(paths: Iterable[Path]) -> list[Sample]:
    """Return the sum over the metrics files, ordered by family and labels."""
    return merge(
        Sample(one.family, one.labels, cells)
        for path in paths
        for one, cells in read_file(path)
    )


def merge(samples: Iterable[Sample]) -> list[Sample]:
    """Return one sample for each series, ordered by family and labels."""
    merged: dict[tuple[str, tuple[str, ...]], Sample] = {}
    for sample in samples:
        key = (sample.family.name, sample.labels)
        other = merged.get(key)
        if other is None:
            merged[key] = sample
        elif other.family.kind == sample.family.kind:
            merged[key] = _add(sample, other)
    return [merged[key] for key in sorted(merged)]


def _add(sample: Sample, other: Sample) -> Sample:
    family = sample.family
    pairs = zip(sample.cells, _rebucket(other, family.bounds), strict=True)
    combine = max if family.merge == "max" else int.__add__
    return Sample(family, sample.labels, tuple(combine(a, b) for a, b in pairs))


def _rebucket(sample: Sample, bounds: tuple[float, ...]) -> tuple[int, ...]:
    """Return the cells for other bounds, as after a change of configuration.

    Each bucket's count moves to the bucket that holds its upper bound, so that "at
    most" stays true.
    """
    if sample.family.bounds == bounds:
        return sample.cells
    buckets = [0] * (len(bounds) + 1)
    *old, total = sample.cells
    for bound, count in zip((*sample.family.bounds, float("inf")), old, strict=True):
        buckets[bisect_left(bounds, bound)] += count
    return (*buckets, total)
