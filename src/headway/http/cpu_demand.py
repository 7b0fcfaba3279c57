"""How much of a core this process would have used, had there been nobody else.

http.neighbours measures an API worker's load by it: where cores are short, a worker
that waits for one most of the time uses little, and yet has more than enough to do.
"""

import os
import time

__all__ = ["CpuDemand"]

_SCHEDSTAT = "/proc/self/schedstat"
"""Of the main thread: nanoseconds on a core, nanoseconds ready to run, turns."""


class CpuDemand:
    """Seconds on a core, of all threads, and those for which the main one waited.

    All threads, as functions that are not async take turns with the event loop. Without
    Linux's scheduler statistics, what was waited for is left out.
    """

    def __init__(self) -> None:
        self._file: int | None = None

    def start(self) -> None:
        """Open the statistics."""
        try:
            self._file = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
            self.wanted_s()
        except (OSError, ValueError, IndexError):
            self.close()

    def close(self) -> None:
        """Close them."""
        descriptor, self._file = self._file, None
        if descriptor is not None:
            os.close(descriptor)

    def wanted_s(self) -> float:
        """Return the seconds so far."""
        used_s = time.process_time()
        if self._file is None:
            return used_s
        return used_s + int(os.pread(self._file, 100, 0).split()[1]) / 1e9
