"""What does a batch cost in a thread of its own, over one in the loop's thread?

Production computes in the loop's thread (runner.executor.InlineExecutor), the embedded
server in a thread. `python -m benchmarks.micro.bench_executor`
"""

import asyncio
import time
from typing import Any

import numpy as np
import uvloop

from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.ipc.call import CallEncoder
from headway.ipc.channel import Channel
from headway.ipc.frames import parse_record
from headway.ipc.records import CallKey, CallsFrame
from headway.metrics import MetricsRegistry
from headway.runner.batch import Batch, Outcome
from headway.runner.executor import (
    Executor,
    FailureIsolation,
    InlineExecutor,
    ThreadExecutor,
)
from headway.runner.receiver import read_columns
from headway.scheduling.queue import CallGroup

BATCHES = 2000
SPEC = MethodSpec("predict", batchable=True)


class Sum:
    """A model of some microseconds."""

    def predict(self, rows: Any) -> Any:
        """Return the sum of each row."""
        return rows.sum(axis=1)


class _NoChannel:
    def send(self, buffers: object) -> None:
        pass

    def close(self) -> None:
        pass


def _batch(channel: Channel) -> Batch:
    call = CallEncoder().encode(SPEC, (np.ones((32, 4)),), {})
    payload = memoryview(b"".join(call.parts))
    frame = CallsFrame(0, call.key, (32,), (), 0, 1e12, 0.0, payload)
    key = parse_record(call.key, CallKey)
    group = CallGroup(frame=frame, call_key=key, channel=channel, due=1e12, max_rows=32)
    group.columns = read_columns(frame, key)
    return Batch(group.take(32))


async def _run(executor: Executor) -> float:
    """Return microseconds for a batch, one after the other."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    left = BATCHES
    channel = _NoChannel()

    def done(_: Executor, __: Batch, ___: list[Outcome]) -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(executor.start, _batch(channel), done)
        else:
            over.set_result(None)

    began = time.perf_counter()
    executor.start(_batch(channel), done)
    await over
    return (time.perf_counter() - began) / BATCHES * 1e6


async def main() -> None:
    """Run it."""
    registry = MetricsRegistry(None)
    registry.start()
    isolation = FailureIsolation(
        runner="sum",
        runnable=Sum(),
        specs={"predict": SPEC},
        registry=registry,
        clock=MonotonicClock(),
    )
    inline = await _run(InlineExecutor(isolation=isolation))
    thread = ThreadExecutor(
        isolation=isolation, loop=asyncio.get_running_loop(), name="bench"
    )
    threaded = await _run(thread)
    await thread.aclose()
    print(f"in the loop's thread {inline:.1f} us, in a thread {threaded:.1f} us")


if __name__ == "__main__":
    uvloop.run(main())
