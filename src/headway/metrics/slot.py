"""A process's slot: a file of integers that outlives the process.

    header      8 int64: magic, bytes of directory in use, the rest spare
    directory   entries, each 4 bytes of length and a SeriesRecord in JSON
    cells       int64, given out from the first on

The file is mapped into its one writer, so that counting is a store to memory and what
was counted is there after SIGKILL. An entry counts once the header's second word
covers it, which is written last: readers see whole entries only. registry writes
slots; samples reads them.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headway.errors import UsageError
from headway.metrics.families import Family
from headway.metrics.handles import LOG_CELLS

__all__ = ["SeriesRecord", "Slot", "cells_of", "read_slot", "zero_gauges"]

_MAGIC = int.from_bytes(b"HDWYMET1", "little")
_HEADER_BYTES = 64
_DIRECTORY_BYTES = 512 * 1024
_CELLS = 32 * 1024
_CELLS_AT = _HEADER_BYTES + _DIRECTORY_BYTES
_SLOT_BYTES = _CELLS_AT + 8 * _CELLS


class SeriesRecord(msgspec.Struct, frozen=True):
    """One series of a slot."""

    family: Family
    labels: tuple[str, ...]
    """Values in the order of `family.labels`."""
    cell: int
    """Index of its first cell."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SeriesRecord)


def cells_of(family: Family) -> int:
    """Return how many cells a series takes; see Histogram and Log for their order."""
    if family.kind == "log":
        return LOG_CELLS
    return len(family.bounds) + 2 if family.kind == "histogram" else 1


class Slot:
    """The writer's side of a slot.

    Args:
        path: The file; None keeps the slot in this process's memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory = memoryview(b"")
        self._header = memoryview(b"")
        self.cells = memoryview(b"")
        """The integers, by which handles count."""
        self.records: list[SeriesRecord] = []
        self._next_cell = 0

    def start(self) -> None:
        """Map the file; series of an earlier process go on, its gauges are 0.

        Raises:
            OSError: If the file cannot be written.
        """
        memory = bytearray(_SLOT_BYTES) if self._path is None else _map(self._path)
        self._memory = memoryview(memory)
        self.cells = self._memory[_CELLS_AT:].cast("q")
        self._header = self._memory[:_HEADER_BYTES].cast("q")
        self._header[0] = _MAGIC
        self.records = list(_entries(self._memory[:_CELLS_AT]))
        for record in self.records:
            end = record.cell + cells_of(record.family)
            self._next_cell = max(self._next_cell, end)
            if record.family.kind == "gauge":
                self.cells[record.cell] = 0

    def append(self, family: Family, labels: tuple[str, ...]) -> SeriesRecord:
        """Add a series, at 0.

        Raises:
            UsageError: If the slot is full.
        """
        record = SeriesRecord(family, labels, self._next_cell)
        entry = _encoder.encode(record)
        start = _HEADER_BYTES + self._header[1]
        end = start + 4 + len(entry)
        next_cell = self._next_cell + cells_of(family)
        if end > _CELLS_AT or next_cell > _CELLS:
            raise UsageError(
                f"metric {family.name}: no room for the series {labels!r} beside the "
                f"{len(self.records)} that this process has; a label must take few "
                "values"
            )
        # A writer that was killed here once may have left part of an entry, but it
        # gave nobody these cells, so they are 0.
        self._memory[start:end] = len(entry).to_bytes(4, "little") + entry
        self._header[1] = end - _HEADER_BYTES
        self._next_cell = next_cell
        self.records.append(record)
        return record


def _map(path: Path) -> mmap.mmap:
    """Return the slot's file in memory, made anew if it is not a sound slot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _is_sound(path):
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            # Blocks are reserved, since a store to a page that a full disk has no
            # room for would end the process with SIGBUS.
            os.posix_fallocate(file.fileno(), 0, _SLOT_BYTES)
            file.write(_MAGIC.to_bytes(8, "little"))
        fresh.replace(path)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _SLOT_BYTES)


def _is_sound(path: Path) -> bool:
    try:
        if path.stat().st_size != _SLOT_BYTES:
            return False
        with path.open("rb") as file:
            head = memoryview(file.read(_CELLS_AT))
    except FileNotFoundError:
        return False
    if int.from_bytes(head[:8], "little") != _MAGIC:
        return False
    used = int.from_bytes(head[8:16], "little")
    entries = list(_entries(head))
    return used == sum(4 + len(_encoder.encode(entry)) for entry in entries)


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
            record = _decoder.decode(head[at : at + length])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        at += length
        family = record.family
        sound = len(record.labels) == len(family.labels) and record.cell >= 0
        if not sound or record.cell + cells_of(family) > _CELLS:
            return
        yield record


def read_slot(path: Path) -> list[tuple[SeriesRecord, tuple[int, ...]]]:
    """Return the series of a slot and their cells, while its writer goes on or not.

    A file that is absent or no slot has none.
    """
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < _SLOT_BYTES:
                return []
            header = file.read(_HEADER_BYTES)
            if int.from_bytes(header[:8], "little") != _MAGIC:
                return []
            # Only what is in use: once a second for each process, it is worth it.
            used = int.from_bytes(header[8:16], "little", signed=True)
            used = min(max(used, 0), _DIRECTORY_BYTES)
            records = list(_entries(memoryview(header + file.read(used))))
            cells = max((r.cell + cells_of(r.family) for r in records), default=0)
            values = memoryview(os.pread(file.fileno(), 8 * cells, _CELLS_AT)).cast("q")
    except FileNotFoundError:
        return []
    return [
        (record, tuple(values[record.cell : record.cell + cells_of(record.family)]))
        for record in records
    ]


def zero_gauges(path: Path) -> None:
    """Set the gauges of a slot whose process has died to 0.

    Between its end and its restart it has no requests in progress.
    """
    series = read_slot(path)
    if series:
        with path.open("r+b", buffering=0) as file:
            for record, _ in series:
                if record.family.kind == "gauge":
                    os.pwrite(file.fileno(), bytes(8), _CELLS_AT + 8 * record.cell)
