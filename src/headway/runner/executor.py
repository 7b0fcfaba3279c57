"""Where a batch is computed: in this very thread, or in a thread beside the loop.

The dispatcher starts batches on executors; runner/replica_link is the third kind, for
replicas in processes of their own.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from headway.runner.batch import Batch
from headway.runner.isolation import Isolation
from headway.runner.outcome import Outcome

__all__ = ["Done", "Executor", "InlineExecutor", "ThreadExecutor"]

Done = Callable[["Executor", Batch, list[Outcome], float], None]
"""Told of a finished batch: executor, batch, outcomes, seconds of the model."""


class Executor(Protocol):
    """One replica of the model."""

    blocks: bool
    """Whether `start` returns only when the batch is done."""
    number: int
    """Which of the runner's replicas it is."""

    def start(self, batch: Batch, done: Done) -> None:
        """Compute a batch, then call `done` on the event loop's thread."""
        ...


class InlineExecutor:
    """Computes in the event loop's thread.

    Nothing else happens meanwhile: requests gather in the sockets' buffers and are all
    read before the next decision. Without a second thread there is no switching
    between two that both want the interpreter (benchmarks/micro/bench_executor.py).

    Args:
        isolation: Has the model.
    """

    blocks = True
    number = 0

    def __init__(self, *, isolation: Isolation) -> None:
        self._isolation = isolation

    def start(self, batch: Batch, done: Done) -> None:
        """Compute a batch and call `done`."""
        began = time.perf_counter()
        outcomes = self._isolation.compute(batch)
        done(self, batch, outcomes, time.perf_counter() - began)


class ThreadExecutor:
    """Computes in a thread of its own, so that the loop goes on serving HTTP.

    Args:
        isolation: Has the model.
        loop: Where `done` is called.
        name: Of the thread.
    """

    blocks = False
    number = 0

    def __init__(
        self,
        *,
        isolation: Isolation,
        loop: asyncio.AbstractEventLoop,
        name: str,
    ) -> None:
        self._isolation = isolation
        self._loop = loop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def start(self, batch: Batch, done: Done) -> None:
        """Compute a batch in the thread."""
        future = self._pool.submit(self._compute, batch)

        def deliver(finished: Future[tuple[list[Outcome], float]]) -> None:
            outcomes, took_s = finished.result()
            done(self, batch, outcomes, took_s)

        future.add_done_callback(
            lambda finished: self._loop.call_soon_threadsafe(deliver, finished)
        )

    def _compute(self, batch: Batch) -> tuple[list[Outcome], float]:
        began = time.perf_counter()
        outcomes = self._isolation.compute(batch)
        return outcomes, time.perf_counter() - began

    async def aclose(self) -> None:
        """Wait for the batch at hand and end the thread."""
        await self._loop.run_in_executor(None, self._pool.shutdown)
