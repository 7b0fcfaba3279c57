"""What every API worker has to do, for all of them to see: a file mapped into each.

http.neighbours writes its own place some times a second, and reads them all.

    a place     3 int64: when it was written, microcores in use, connections

Nobody locks: each place has one writer, an integer is stored at once, and loads of two
moments differ little. A place that was not written lately is that of a worker that is
gone or stuck; who has nothing to give or take any more empties its own.
"""

import mmap
import os
from pathlib import Path

from headway.http.balance import Load

__all__ = ["SharedLoadTable"]

_CELLS = 3
_PLACE_BYTES = 8 * _CELLS
_FRESH_S = 1.5
_MICRO = 1_000_000


class SharedLoadTable:
    """One worker's view of the board.

    Args:
        path: The file; whoever comes first makes it.
        index: The worker's own place.
        places: How many workers there are.
    """

    def __init__(self, *, path: Path, index: int, places: int) -> None:
        self._path = path
        self._index = index
        self._places = places
        self._cells = memoryview(b"")

    def start(self) -> None:
        """Map the file.

        Raises:
            OSError: It cannot be written.
        """
        size = _PLACE_BYTES * self._places
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Blocks are reserved, since a store to a page that a full disk has no
            # room for would end the process with SIGBUS.
            os.posix_fallocate(descriptor, 0, size)
            self._cells = memoryview(mmap.mmap(descriptor, size)).cast("q")
        finally:
            os.close(descriptor)

    def publish(self, load: Load, now: float) -> None:
        """Write the worker's load."""
        cells, at = self._cells, _CELLS * self._index
        cells[at + 1] = int(load.busy * _MICRO)
        cells[at + 2] = load.connections
        cells[at] = int(now * _MICRO)

    def withdraw(self) -> None:
        """Empty the worker's place: it gives and takes nothing from now on."""
        self._cells[_CELLS * self._index] = 0

    def read(self, now: float) -> list[Load | None]:
        """Return everyone's load; None where there is nobody, or nobody lively."""
        cells = self._cells
        oldest = int((now - _FRESH_S) * _MICRO)
        return [
            Load(cells[at + 1] / _MICRO, cells[at + 2])
            if cells[at] > max(oldest, 0)
            else None
            for at in range(0, _CELLS * self._places, _CELLS)
        ]
