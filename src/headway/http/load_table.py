"""The loads of all API workers, measured by each and read by all.

http/balancer publishes its worker's load some times a second, and whenever a connection
is opened or closed.
"""

import mmap
import os
import time
from pathlib import Path
from typing import NamedTuple

_STALE_S = 1.5
_SLOT_CELLS = 3
_MICRO = 1_000_000
_SCHEDSTAT = "/proc/self/schedstat"
"""Of the main thread: nanoseconds on a core, nanoseconds ready to run, turns."""


class WorkerLoad(NamedTuple):
    """The load of one worker."""

    busy: float
    """Wanted share of a core, 0 to 1: an event loop has one thread."""
    connections: int
    """Open connections."""


class SharedLoadTable:
    """The loads of all workers in a mapped file; each worker writes its own slot.

    A slot is 3 int64: time of writing, wanted microcores, connections. There is no
    lock: an integer is stored at once, and loads of two moments differ little. A slot
    older than 1.5 s belongs to a dead or hung worker; a draining worker zeroes its own.

    Args:
        path: The file; the first worker creates it.
        index: The worker's own slot.
        workers: The number of slots.
    """

    def __init__(self, *, path: Path, index: int, workers: int) -> None:
        self._path = path
        self._own = _SLOT_CELLS * index
        self._size = 8 * _SLOT_CELLS * workers
        self._cells = memoryview(b"")

    def start(self) -> None:
        """Map the file.

        Raises:
            OSError: It cannot be written.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Blocks are reserved: a store to a page without room on a full disk would
            # end the process with SIGBUS.
            os.posix_fallocate(descriptor, 0, self._size)
            self._cells = memoryview(mmap.mmap(descriptor, self._size)).cast("q")
        finally:
            os.close(descriptor)

    def publish(self, load: WorkerLoad, now: float) -> None:
        """Write the worker's load."""
        self._cells[self._own + 1] = int(load.busy * _MICRO)
        self._cells[self._own + 2] = load.connections
        self._cells[self._own] = int(now * _MICRO)

    def withdraw(self) -> None:
        """Zero the worker's slot: it takes part no longer."""
        self._cells[self._own] = 0

    def read(self, now: float) -> list[WorkerLoad | None]:
        """Return the load of each worker; None: it is dead, hung or draining."""
        cells, oldest = self._cells, max(int((now - _STALE_S) * _MICRO), 0)
        return [
            WorkerLoad(cells[at + 1] / _MICRO, cells[at + 2])
            if cells[at] > oldest
            else None
            for at in range(0, len(cells), _SLOT_CELLS)
        ]


def cpu_demand_s() -> float:
    """Return the CPU seconds that this process wanted so far.

    They are those that its threads used, and those for which its main thread waited
    for a core: on a full machine a worker uses little, and yet has much to do.
    """
    used_s = time.process_time()
    try:
        waited_ns = int(Path(_SCHEDSTAT).read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return used_s  # not Linux, or without the scheduler's statistics
    return used_s + waited_ns / 1e9
