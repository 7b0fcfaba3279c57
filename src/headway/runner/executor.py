"""Where a batch is computed, and how one bad call fails alone.

The dispatcher starts batches on executors: in its own thread, in another one, or in
another process (runner/replica). All compute them by FailureIsolation.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from headway.core.clock import Clock
from headway.core.method_spec import MethodSpec
from headway.errors import ModelCallError, OutputError
from headway.ipc.records import OPAQUE
from headway.ipc.rows import encode_array, encode_pickles, kind_of, rows_first, take
from headway.metrics import MetricsRegistry
from headway.metrics.families import ISOLATION_CALLS
from headway.runner.batch import Batch, Failure, Outcome, Success

_log = logging.getLogger(__name__)
_FAILURES_KEPT = 1024
_FAILURES_KEPT_S = 60.0

Done = Callable[["Executor", Batch, list[Outcome]], None]
"""Called with a finished batch, which says how long the model took."""


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
        isolation: Holds the model.
    """

    blocks = True
    number = 0

    def __init__(self, *, isolation: "FailureIsolation") -> None:
        self._isolation = isolation

    def start(self, batch: Batch, done: Done) -> None:
        """Compute a batch and call `done`."""
        done(self, batch, self._isolation.compute(batch))


class ThreadExecutor:
    """Computes in a thread of its own, so that the loop goes on serving HTTP.

    Args:
        isolation: Holds the model.
        loop: Where `done` is called.
        name: Of the thread.
    """

    blocks = False
    number = 0

    def __init__(
        self,
        *,
        isolation: "FailureIsolation",
        loop: asyncio.AbstractEventLoop,
        name: str,
    ) -> None:
        self._isolation = isolation
        self._loop = loop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def start(self, batch: Batch, done: Done) -> None:
        """Compute a batch in the thread."""

        def deliver(finished: Future[list[Outcome]]) -> None:
            done(self, batch, finished.result())

        future = self._pool.submit(self._isolation.compute, batch)
        future.add_done_callback(
            lambda finished: self._loop.call_soon_threadsafe(deliver, finished)
        )

    async def aclose(self) -> None:
        """Wait for the current batch and end the thread."""
        await self._loop.run_in_executor(None, self._pool.shutdown)


class FailureIsolation:
    """One copy of a model; a call on which it fails does so alone.

    A batch that fails is bisected: n calls cost at most 2n - 1 calls of the model.
    Every result is from a call of the model that succeeded, every error from one for a
    single call. Calls with the bytes of a recent failure are computed one by one from
    the outset, so that a repeated bad call does not fail whole batches again. Without
    recent failures the calls of a batch are not examined.

    Args:
        runner: Its name.
        runnable: Has the model's methods.
        specs: How each may be called.
        registry: Counts the calls of the model beyond one for each batch.
        clock: Tells how recent a failure is.
    """

    def __init__(
        self,
        *,
        runner: str,
        runnable: object,
        specs: Mapping[str, MethodSpec],
        registry: MetricsRegistry,
        clock: Clock,
    ) -> None:
        self._runnable = runnable
        self._specs = specs
        self._clock = clock
        self._repeated = {
            method: registry.counter(ISOLATION_CALLS, (runner, method))
            for method in specs
        }
        self._failed_at: dict[str, dict[int, float]] = {}
        """When each digest failed alone last, by method, the oldest first."""
        self._tries = 0
        self._reported: set[str] = set()

    def compute(self, batch: Batch) -> list[Outcome]:
        """Run the model on a batch, time it and return what became of its slices."""
        began = time.perf_counter()
        method = batch.key.method
        outcomes: list[Outcome] = []
        self._tries = 0
        if method not in self._failed_at:
            # Digests are expensive (benchmarks/micro/bench_isolation.py).
            self._compute(batch, outcomes)
        else:
            failed_at = self._recent_failures(method)
            has_failed = [digest in failed_at for digest in batch.digests()]
            others = [call for call, failed in enumerate(has_failed) if not failed]
            if others:
                self._compute(batch.select(others), outcomes)
            for call, failed in enumerate(has_failed):
                if failed:
                    self._compute(batch.part(call, call + 1), outcomes)
        if self._tries > 1:
            self._repeated[method].add(self._tries - 1)
        batch.took_s = time.perf_counter() - began
        return outcomes

    def _compute(self, batch: Batch, outcomes: list[Outcome]) -> bool:
        """Compute calls together, and bisect them if they fail.

        Returns:
            Whether all of them succeeded at once.
        """
        outcome = self._try(batch)
        if outcome is None:
            self._bisect(batch, outcomes)
            return False
        outcomes.append(outcome)
        if isinstance(outcome, Failure):
            return False
        failed_at = self._failed_at.get(batch.key.method)
        if failed_at is not None and batch.calls == 1:
            failed_at.pop(batch.digests()[0], None)
        return True

    def _bisect(self, batch: Batch, outcomes: list[Outcome]) -> None:
        """Compute calls that failed together in two halves.

        If the first half succeeds, the second holds a failing call: it is halved
        without being tried as a whole.
        """
        calls = batch.calls
        second = batch.part(calls // 2, calls)
        if self._compute(batch.part(0, calls // 2), outcomes) and second.calls > 1:
            self._bisect(second, outcomes)
        else:
            self._compute(second, outcomes)

    def _recent_failures(self, method: str) -> dict[int, float]:
        """Return the digests that failed recently, after dropping the old ones."""
        failed_at = self._failed_at[method]
        old = self._clock.now() - _FAILURES_KEPT_S
        while failed_at:
            oldest = next(iter(failed_at))
            if failed_at[oldest] > old:
                return failed_at
            del failed_at[oldest]
        del self._failed_at[method]
        return failed_at

    def _failure(self, one: Batch, error: BaseException) -> Failure:
        """Remember a call that failed alone, and return its error."""
        method = one.key.method
        failed_at = self._failed_at.setdefault(method, {})
        (digest,) = one.digests()
        failed_at.pop(digest, None)
        failed_at[digest] = self._clock.now()
        if len(failed_at) > _FAILURES_KEPT:
            del failed_at[next(iter(failed_at))]
        if isinstance(error, OutputError):
            message = _message_of(error)
            _log.error("%s", message)
            return Failure(one.slices, OutputError(message))
        return Failure(one.slices, model_error(method, error))

    def _try(self, batch: Batch) -> Outcome | None:
        """Run the model on a batch once; return None if several calls failed together.

        The error must not outlive the `except` clause in a variable: its traceback
        leads to this frame, so that only the garbage collector would free both, and
        with them the bytes of the batch.
        """
        self._tries += 1
        name = batch.key.method
        try:
            spec = self._specs[name]
            args, kwargs = batch.arguments(spec.batch_dim[0])
            result = getattr(self._runnable, name)(*args, **kwargs)
            return _encode(batch, result, spec.batch_dim[1])
        except BaseException as error:  # noqa: BLE001 - user code, SystemExit included
            if batch.calls == 1:
                return self._failure(batch, error)
            if isinstance(error, OutputError) and name not in self._reported:
                # Each call alone may succeed, so that no caller would see the error.
                self._reported.add(name)
                _log.warning(
                    "a batch is computed again in parts: %s", _message_of(error)
                )
            return None


def _message_of(error: Any) -> str:
    """Return the message of an OutputError; a user's may be of any type.

    Read from an untyped argument, as compiled code would raise for other types.
    """
    return str(error.message)


def model_error(method: str, error: BaseException) -> ModelCallError:
    """Log what a model raised, and return the error that its caller gets."""
    error_id = uuid.uuid4().hex[:12]
    _log.error("method %r failed, error id %s", method, error_id, exc_info=error)
    return ModelCallError(
        f"the model's method {method!r} failed on this input; the log has the "
        f"traceback under error id {error_id}",
        error_id=error_id,
    )


def _encode(batch: Batch, result: Any, axis: int) -> Success:
    """Return the batch's result with a row for each row, as it is sent.

    Raises:
        OutputError: If there are more or fewer rows, or they do not pickle.
    """
    if batch.key.mode == OPAQUE:
        key, blobs = encode_pickles([result])
    else:
        result = rows_first(result, axis, batch.rows, batch.key.method)
        if kind_of(result) == "array":
            key, payload = encode_array(result, axis)
            return Success(batch.slices, key, (), memoryview(payload))
        bounds = np.cumsum([0, *batch.call_rows()]).tolist()
        key, blobs = encode_pickles(
            [take(result, start, stop) for start, stop in pairwise(bounds)], axis
        )
    return Success(
        batch.slices, key, [len(blob) for blob in blobs], memoryview(b"".join(blobs))
    )
