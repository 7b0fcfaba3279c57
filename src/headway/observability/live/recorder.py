"""Records the live page's history: once a second, from the counters of all processes.

The supervisor runs it, or the only process. Any API worker serves the file.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from headway.core.clock import Clock
from headway.core.run_dir import RunDir
from headway.metrics import read_samples
from headway.observability.live.figures import Snapshot, make_second, make_totals
from headway.observability.live.history import HistoryWriter

_log = logging.getLogger(__name__)
_PERIOD_S = 1.0
_SHORTEST_S = 0.5
"""Rates over shorter intervals would be noise."""


class Recorder:
    """Writes the history of a server.

    Args:
        run_dir: Has the counters of each process, and the file to write.
        runners: Names of the service's runners.
        clock: Measures the intervals.
    """

    def __init__(
        self,
        *,
        run_dir: RunDir,
        runners: Sequence[str],
        clock: Clock,
    ) -> None:
        self._metrics_dir = run_dir.metrics
        self._history = HistoryWriter(path=run_dir.history, run=time.time_ns())
        self._runners = runners
        self._clock = clock
        self._number = 0
        self._has_failed = False
        self._before = Snapshot((), clock.now())
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Create the file and start to record.

        Raises:
            OSError: If the file cannot be written.
        """
        self._history.start()
        self._before = self._snapshot()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Stop recording."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._history.close()

    async def _run(self) -> None:
        due = self._clock.now()
        while True:
            now = self._clock.now()
            # Missed seconds are skipped.
            due = max(due + _PERIOD_S, now + _SHORTEST_S)
            await asyncio.sleep(due - now)
            self.record()

    def record(self) -> None:
        """Record what was counted since the last time."""
        before, self._before = self._before, self._snapshot()
        self._number += 1
        figures = make_second(
            before, self._before, time=time.time(), runners=self._runners
        )
        second = {"number": self._number, **figures}
        totals = make_totals(self._before, self._runners)
        encode = msgspec.json.encode
        try:
            self._history.write(self._number, encode(second), encode(totals))
        except (OSError, ValueError) as error:
            if not self._has_failed:  # logged once; the server keeps serving
                self._has_failed = True
                _log.warning("the live page misses a second: %s", error)

    def _snapshot(self) -> Snapshot:
        slots = sorted(self._metrics_dir.glob("*.bin"))
        return Snapshot(read_samples(slots), self._clock.now())
