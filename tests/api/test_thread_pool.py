"""The threads of sync API functions: bounded, refusals counted."""

import asyncio
import threading

import pytest

from headway.api.thread_pool import ThreadPool
from headway.errors import OverloadedError
from headway.metrics import MetricsRegistry
from headway.metrics.families import REFUSED
from tests.metrics.samples import samples_of


async def test_requests_beyond_the_bound_are_refused_and_counted() -> None:
    registry = MetricsRegistry()
    registry.start()
    pool = ThreadPool(threads=1, refused=registry.counter(REFUSED, ("threads",)))
    gate = threading.Event()
    waiting = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(65)]
    await asyncio.sleep(0)  # each task takes its place at its first step
    try:
        for _ in range(3):
            with pytest.raises(OverloadedError, match=r"api_server\.threads"):
                await pool.run(gate.wait)
    finally:
        gate.set()
    assert await asyncio.gather(*waiting) == [True] * 65
    assert await pool.run(lambda: 7) == 7
    pool.close()
    (sample,) = [s for s in samples_of(registry) if s.family.name == REFUSED.name]
    assert (sample.labels, sample.cells) == (("threads",), (3,))


async def test_stop_iteration_ends_the_request_as_in_an_async_function() -> None:
    registry = MetricsRegistry()
    registry.start()
    pool = ThreadPool(threads=1, refused=registry.counter(REFUSED, ("threads",)))
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await asyncio.wait_for(pool.run(next, iter(())), 5)
    pool.close()
