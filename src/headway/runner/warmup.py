"""Runs a model before the first request does: fills caches and measures batches.

server/runner_assembly calls it; until it returns, /readyz answers 503.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headway.config.schema import BatchingConfig
from headway.core.clock import Clock
from headway.core.method_spec import MethodSpec
from headway.errors import OutputError, RunnerStartError, UsageError
from headway.ipc.call import agreed_rows, row_arguments
from headway.ipc.rows import join, kind_of, rows_first
from headway.metrics.meters import published_sizes
from headway.service.runnable import Runnable, read_samples

_log = logging.getLogger(__name__)
_BUDGET_S = 2.0
"""Seconds for one method's larger batches; the single row runs in any case."""
_REPEATS = 3


def warm_up(
    *,
    runner: str,
    runnable: Runnable,
    specs: Mapping[str, MethodSpec],
    methods: Mapping[str, BatchingConfig],
    clock: Clock,
) -> dict[str, list[tuple[int, float]]]:
    """Run each method on its sample, repeated to batches of rising sizes.

    Returns:
        The rows and seconds of each size, by method.

    Raises:
        RunnerStartError: If a method fails on its own sample, returns other rows than
            it got, or takes longer than `max_latency_ms` allows any request.
    """
    costs: dict[str, list[tuple[int, float]]] = {}
    for method, sample in read_samples(runner, runnable, specs).items():
        spec, batching = specs[method], methods[method]
        costs[method] = []
        began = clock.now()
        for rows in published_sizes(batching.max_batch_size if spec.batchable else 1):
            best = min(
                _timed(runner, runnable, spec, sample, rows, batching.enabled)
                for _ in range(_REPEATS)
            )
            costs[method].append((rows, best))
            if clock.now() - began > _BUDGET_S:
                break
        single_ms = costs[method][0][1] * 1e3
        _log.info(
            "runner %s: %s is warm; one row takes %.2f ms", runner, method, single_ms
        )
        if batching.enabled and single_ms > batching.max_latency_ms:
            raise RunnerStartError(
                f"runner {runner!r}: one row of {method!r} takes {single_ms:.1f} ms, "
                f"more than max_latency_ms ({batching.max_latency_ms:g}) allows: no "
                "request could be answered; raise max_latency_ms"
            )
    return costs


def _timed(
    runner: str,
    runnable: Runnable,
    spec: MethodSpec,
    sample: Sequence[Any],
    rows: int,
    joins: bool,
) -> float:
    args = [_repeat(value, rows, spec.batch_dim[0]) for value in sample]
    began = time.perf_counter()
    try:
        result = getattr(runnable, spec.name)(*args)
    except Exception as error:
        raise RunnerStartError(
            f"runner {runner!r}: {spec.name!r} failed on {rows} warm-up rows: "
            f"{type(error).__name__}: {error}; mend the model or its `sample`"
        ) from error
    took_s = time.perf_counter() - began
    if joins:
        _count_rows(runner, spec, args, result)
    return took_s


def _count_rows(
    runner: str, spec: MethodSpec, args: Sequence[Any], result: Any
) -> None:
    """Refuse a method whose result does not have the rows of its arguments.

    Rows on another axis would go to the wrong callers once it happens to be as long as
    the batch.
    """
    try:
        rows = agreed_rows(spec, row_arguments(spec, tuple(args), {}))
        if rows:
            rows_first(result, spec.batch_dim[1], rows, spec.name)
    except (OutputError, UsageError) as error:
        raise RunnerStartError(f"runner {runner!r}: {error.message}") from error


def _repeat(value: Any, rows: int, axis: int) -> Any:
    """Return one row `rows` times."""
    kind = kind_of(value)
    if rows == 1 or kind is None:
        return value
    if kind in ("array", "objects"):
        return np.repeat(value, rows, axis=axis)
    return join([value] * rows)
