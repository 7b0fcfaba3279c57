"""A rival: CORK, BentoML's adaptive batching, by its published equations.

It takes a batch of n for a*n + b seconds, and looks at its queue every 1 ms. With
w0 and wn the ages of the oldest and the latest request, each time it

1. sheds the oldest of several if w0 + a*n + b >= max_latency,
2. does nothing while it is busy,
3. waits on if n * (wn + tick + a) <= 0.95 * (mean wait of the oldest so far),
4. dispatches else.

It trains on its first batches, of 1, 2 and 3 rows, whose waits do not count. Where it
is known to do worse than this (it counts requests for rows, and has a queue for each
replica), it is given the better way.
"""

from collections import deque
from typing import Final

import numpy as np

from benchmarks.simulation.policy import Drop, FifoQueue
from benchmarks.simulation.request import Batch, Request
from headway.scheduling.scheduler import Wait

__all__ = ["Cork"]

_TICK_S: Final = 1e-3
_DECAY: Final = 0.95
_TRAINING: Final = (1,) * 9 + (2, 3)
"""Rows of the first batches."""
_FITTED_FROM: Final = 8
"""Index of the training batch from which on a fit follows each."""
_FIT_EVERY_S: Final = 5.0


class Cork:
    """Waits for more while it expects to answer all of them sooner.

    Args:
        max_rows: Rows in a batch at the most.
        replicas: Batches at a time.
        max_latency_s: What it sheds for.
    """

    __slots__ = (
        "_busy",
        "_looks_at",
        "_max_latency_s",
        "_max_rows",
        "_model",
        "_queue",
        "_replicas",
        "_trained",
    )

    def __init__(self, *, max_rows: int, replicas: int, max_latency_s: float) -> None:
        self._max_rows = max_rows
        self._replicas = replicas
        self._max_latency_s = max_latency_s
        self._model = _Model(max_latency_s)
        self._queue = FifoQueue()
        self._busy = 0
        self._trained = 0
        self._looks_at = 0.0

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the queue is full; a loop that rests looks at once."""
        if not self._queue.rows:
            self._looks_at = now
        return self._queue.push(request)

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Do what it does at a tick, if it is time for one."""
        queue = self._queue
        if not queue.rows:
            return None
        if now < self._looks_at:
            return Wait(self._looks_at)
        is_training = self._trained < len(_TRAINING)
        if self._sheds(now - queue.requests[0].arrived_at, is_training):
            return Drop([queue.pop()])
        if self._busy == self._replicas or self._waits(now, is_training):
            self._looks_at = now + _TICK_S
            return Wait(self._looks_at)
        oldest_s = now - queue.requests[0].arrived_at
        most, fits = self._max_rows, False
        if is_training:
            most = max(_TRAINING[self._trained], queue.requests[0].rows)
            fits = self._trained >= _FITTED_FROM
            self._trained += 1
            oldest_s = 0.0
        batch = queue.pop_batch(most)
        batch.state = (oldest_s, fits)
        self._busy += 1
        return batch

    def _sheds(self, oldest_s: float, is_training: bool) -> bool:
        count = self._queue.rows
        if is_training or count == 1:
            return oldest_s >= self._max_latency_s
        return oldest_s + self._model.seconds_of(count) >= self._max_latency_s

    def _waits(self, now: float, is_training: bool) -> bool:
        requests, count, model = self._queue.requests, self._queue.rows, self._model
        if is_training:
            wanted = _TRAINING[self._trained]
            oldest_s = now - requests[0].arrived_at
            fits = oldest_s + model.seconds_of(wanted) < self._max_latency_s
            return count < wanted and fits
        if count >= self._max_rows:
            return False
        latest_s = now - requests[-1].arrived_at
        return count * (latest_s + _TICK_S + model.row_s) <= _DECAY * model.wait_s

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Learn from the batch."""
        self._busy -= 1
        oldest_s, fits = batch.state
        self._model.observe(batch.rows, took_s, oldest_s)
        self._model.fit(now, at_once=fits)


class _Model:
    """Least squares over the last batches."""

    __slots__ = ("_fitted_at", "_samples", "_skip", "base_s", "row_s", "wait_s")

    def __init__(self, max_latency_s: float) -> None:
        self.row_s = min(2.0, max_latency_s * 2 / 30)
        self.base_s = min(1.0, max_latency_s / 30)
        self.wait_s = 0.01
        self._samples: deque[tuple[int, float, float]] = deque(maxlen=50)
        self._skip = 2
        self._fitted_at = 0.0

    def seconds_of(self, rows: int) -> float:
        return self.row_s * rows + self.base_s

    def observe(self, rows: int, took_s: float, oldest_s: float) -> None:
        if self._skip:
            self._skip -= 1
        else:
            self._samples.append((rows, took_s, oldest_s))

    def fit(self, now: float, *, at_once: bool) -> None:
        is_time = at_once or now - self._fitted_at >= _FIT_EVERY_S
        if not is_time or not self._samples:
            return
        self._fitted_at = now
        rows, seconds, waits = np.array(self._samples).T
        terms = np.column_stack([rows, np.ones_like(rows)])
        row_s, base_s = np.linalg.lstsq(terms, seconds, rcond=None)[0]
        self.row_s, self.base_s = max(1e-6, float(row_s)), max(0.0, float(base_s))
        self.wait_s = float(waits.mean())
