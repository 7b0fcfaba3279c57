"""Once a second: reads what all processes count, and adds a second to the history.

The supervisor runs it, or the only process.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headway.core.clock import Clock
from headway.metrics import read_samples
from headway.observability.live.history import HistoryWriter
from headway.observability.live.second import make_second
from headway.observability.live.snapshot import Snapshot
from headway.observability.live.totals import make_totals

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)
_PERIOD_S = 1.0
_SHORTEST_S = 0.5
"""Rates over less would be noise."""


class Recorder:
    """Writes the history of a server.

    Args:
        metrics_dir: Holds a slot for each process.
        history: The file.
        runners: Names of the service's runners.
        clock: What rates are computed by.
        wall_time: Unix time, for people.
    """

    def __init__(
        self,
        *,
        metrics_dir: Path,
        history: Path,
        runners: Sequence[str],
        clock: Clock,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        self._metrics_dir = metrics_dir
        self._history = HistoryWriter(path=history, run=time.time_ns())
        self._runners = runners
        self._clock = clock
        self._wall_time = wall_time
        self._encoder = msgspec.json.Encoder()
        self._number = 0
        self._has_failed = False
        self._before = Snapshot((), clock.now())
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make the file, and record from now on.

        Raises:
            OSError: If the file cannot be written.
        """
        self._history.start()
        self._before = self._snapshot()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Record no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._history.close()

    async def _run(self) -> None:
        due = self._clock.now()
        while True:
            now = self._clock.now()
            # Seconds that were missed are not made up for.
            due = max(due + _PERIOD_S, now + _SHORTEST_S)
            await asyncio.sleep(due - now)
            self.record()

    def record(self) -> None:
        """Add what was counted since the last time."""
        before, after = self._before, self._snapshot()
        self._before = after
        self._number += 1
        second = make_second(
            before,
            after,
            number=self._number,
            time=self._wall_time(),
            runners=self._runners,
        )
        totals = make_totals(after, self._runners)
        try:
            self._history.write(
                self._number,
                self._encoder.encode(second),
                self._encoder.encode(totals),
            )
        except (OSError, ValueError) as error:
            # The server serves on; one line is enough.
            if not self._has_failed:
                self._has_failed = True
                _log.warning("the live page misses a second: %s", error)

    def _snapshot(self) -> Snapshot:
        slots = sorted(self._metrics_dir.glob("*.bin"))
        return Snapshot(read_samples(slots), self._clock.now())
