"""Computes batches so that a bad call fails alone, and seldom at its neighbours' cost.

Executors and runner/replica hand it batches. scheduling/failure_cache and
scheduling/failure_search say
which calls to compute together; runner/batch joins them for the model.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from headway.core.clock import Clock
from headway.core.method_spec import MethodSpec
from headway.errors import ModelCallError, OutputError
from headway.ipc.records import OPAQUE
from headway.ipc.rows import encode_array, encode_pickles, kind_of, rows_first, take
from headway.metrics import MetricsRegistry
from headway.metrics.families import ISOLATION_CALLS
from headway.runner.batch import Batch
from headway.runner.outcome import Failure, Outcome, Success
from headway.scheduling.failure_cache import FailureCache
from headway.scheduling.failure_search import Search
from headway.scheduling.failure_stats import FailureStats

__all__ = ["Isolation", "model_error"]

_log = logging.getLogger(__name__)


class _History:
    """What a method's failures were like."""

    __slots__ = ("odds", "suspects")

    def __init__(self) -> None:
        self.odds = FailureStats()
        self.suspects = FailureCache()

    @property
    def is_clean(self) -> bool:
        """Whether there was no failure lately."""
        return not (self.odds.bad or self.suspects.is_awake)


class _Raised(msgspec.Struct):
    """What a call of the model raised."""

    error: Exception | None

    def release(self) -> Exception:
        """Return the error, and hold it no longer.

        Its traceback leads to the frames that hold this: only the garbage collector
        would free them, and with them the bytes of the batch.
        """
        error, self.error = self.error, None
        assert error is not None
        return error


class Isolation:
    """One copy of a model, and what its failures were like.

    Every answer is from a call of the model that succeeded with it, every error from
    one for its call alone.

    Args:
        runner: Its name.
        runnable: Has the model's methods.
        specs: How each may be called.
        registry: Counts the calls of the model beyond one for each batch.
        clock: Times the calls of the model.
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
        self._histories: defaultdict[str, _History] = defaultdict(_History)
        self._tries = 0
        self._took_s = 0.0
        self._told: set[str] = set()

    def compute(self, batch: Batch) -> list[Outcome]:
        """Run the model on a batch and return what became of its pieces."""
        self._tries = 0
        method = batch.key.method
        history = self._histories[method]
        result = None
        if history.is_clean:
            # To look at its calls is dear (benchmarks/micro/bench_isolation.py).
            result = self._try(batch)
            if isinstance(result, Success):
                history.odds.timed(self._took_s, succeeded=True)
                return [result]
        outcomes = list(self._outcomes(batch, history, result))
        if self._tries > 1:
            self._repeated[method].add(self._tries - 1)
        return outcomes

    def _outcomes(
        self, batch: Batch, history: _History, result: Success | _Raised | None
    ) -> Iterator[Outcome]:
        """Compute a batch in parts; `result` is that of the whole, if it was tried."""
        suspects = history.suspects
        calls = list(range(batch.calls))
        apart: list[int] = []
        if suspects.is_awake:
            suspects.expire(self._clock.now())
            digests = batch.digests()
            suspected = batch.odd_calls() if suspects.odd_ones_fail else set()
            suspected.update(call for call in calls if digests[call] in suspects)
            apart = sorted(suspected)
            calls = [call for call in calls if call not in suspected]
        yield from self._search(batch, calls, history, apart, result)
        while apart:
            one = batch.select([apart.pop(0)])
            outcome = self._alone(one, suspects, self._try(one))
            yield outcome
            if isinstance(outcome, Success) and apart:
                # So much for copies of it, and for all that were blamed untried.
                digests = batch.digests()
                freed = [call for call in apart if digests[call] not in suspects]
                apart = [call for call in apart if digests[call] in suspects]
                yield from self._search(batch, freed, history, apart)

    def _search(
        self,
        batch: Batch,
        calls: list[int],
        history: _History,
        apart: list[int],
        result: Success | _Raised | None = None,
    ) -> Iterator[Outcome]:
        """Compute some calls together; add to `apart` those left for later."""
        odds, suspects = history.odds, history.suspects
        search = Search(calls, odds)
        is_first = True
        while test := search.next():
            part = batch.select(test)
            if result is None:
                result = self._try(part)
            succeeded = isinstance(result, Success)
            if is_first and len(test) > 1:
                odds.timed(self._took_s, succeeded=succeeded)
            if len(test) == 1:
                (search.succeeded if succeeded else search.failed)()
                yield self._alone(part, suspects, result)
            elif isinstance(result, Success):
                search.succeeded()
                yield result
            else:
                result.release()
                odd = self._blamed(part, test, suspects) if is_first else []
                search.failed(odd)
                apart += odd
            is_first, result = False, None

    def _blamed(
        self, part: Batch, test: list[int], suspects: FailureCache
    ) -> list[int]:
        """Return the calls that a failure is put down to: some, or none."""
        if suspects.odd_ones_fail or not suspects.odd_ones_may_fail:
            return []  # they are apart already, or better not
        odd = [test[call] for call in sorted(part.odd_calls())]
        return odd if len(odd) < len(test) else []

    def _alone(
        self, one: Batch, suspects: FailureCache, result: Success | _Raised
    ) -> Outcome:
        """Learn from what became of a call on its own."""
        failed = isinstance(result, _Raised)
        if failed or suspects.is_awake:
            (digest,) = one.digests()
            learn = suspects.failed if failed else suspects.succeeded
            learn(digest, self._clock.now(), is_odd=bool(one.odd_calls()))
        if isinstance(result, Success):
            return result
        error = result.release()
        if isinstance(error, OutputError):
            _log.error("%s", error.message)
            return Failure(one.pieces, OutputError(error.message))
        return Failure(one.pieces, model_error(one.key.method, error))

    def _tell(self, batch: Batch, error: OutputError) -> None:
        """Log once for each method that its batches are of no use.

        Its calls may do alone, and then nobody would see it.
        """
        if batch.calls > 1 and batch.key.method not in self._told:
            self._told.add(batch.key.method)
            _log.warning("a batch is computed again in parts: %s", error.message)

    def _try(self, batch: Batch) -> Success | _Raised:
        """Run the model on a batch once."""
        self._tries += 1
        name = batch.key.method
        began = self._clock.now()
        try:
            spec = self._specs[name]
            args, kwargs = batch.arguments(spec.batch_dim[0])
            result = getattr(self._runnable, name)(*args, **kwargs)
            return _encode(batch, result, spec.batch_dim[1])
        except Exception as error:  # noqa: BLE001 - a user's model may raise anything
            if isinstance(error, OutputError):
                self._tell(batch, error)
            return _Raised(error)
        finally:
            self._took_s = self._clock.now() - began


def model_error(method: str, error: Exception) -> ModelCallError:
    """Log what a model raised, and return the error that its caller gets."""
    error_id = uuid.uuid4().hex[:12]
    _log.error("method %r failed, error id %s", method, error_id, exc_info=error)
    return ModelCallError(
        f"the model's method {method!r} failed on this input; the log has the "
        f"traceback under error id {error_id}",
        error_id=error_id,
    )


def _encode(batch: Batch, result: Any, axis: int) -> Success:
    """Return the batch's result with a row for each row, in the wire's form.

    Raises:
        OutputError: If there are more or fewer rows, or they do not pickle.
    """
    if batch.key.mode == OPAQUE:
        key, blobs = encode_pickles([result])
    else:
        result = rows_first(result, axis, batch.rows, batch.key.method)
        if kind_of(result) == "array":
            key, payload = encode_array(result, axis)
            return Success(batch.pieces, key, (), memoryview(payload))
        bounds = np.cumsum([0, *batch.call_rows()]).tolist()
        key, blobs = encode_pickles(
            [take(result, start, stop) for start, stop in pairwise(bounds)], axis
        )
    return Success(
        batch.pieces, key, [len(blob) for blob in blobs], memoryview(b"".join(blobs))
    )
