"""What does failure isolation cost a batch, before and after a recent failure?

64 calls of one row of 4 and of 1,000 numbers, and a model that does nothing.
FailureIsolation compares calls with recent failures only if there are any.
`python -m benchmarks.micro.bench_isolation`
"""

import logging
import timeit
from typing import Any

import numpy as np

from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.ipc.call import CallEncoder
from headway.ipc.channel import Channel
from headway.ipc.frames import parse_record
from headway.ipc.records import CallKey, CallsFrame
from headway.metrics import MetricsRegistry
from headway.runner.batch import Batch
from headway.runner.executor import FailureIsolation
from headway.runner.receiver import read_columns
from headway.scheduling.queue import CallGroup

CALLS = 64
SPEC = MethodSpec("predict", batchable=True)


class Picky:
    """Fails on large numbers."""

    def predict(self, rows: Any) -> Any:
        """Return the first number of each row."""
        if not rows[0, 0] < 1e6:
            raise ValueError("too large")
        return rows[:, 0]


class _NoChannel:
    def send(self, buffers: object) -> None:
        pass

    def close(self) -> None:
        pass


def _batch(rows: Any, channel: Channel) -> Batch:
    call = CallEncoder().encode(SPEC, (rows,), {})
    sizes = (1,) * len(rows)
    payload = memoryview(b"".join(call.parts))
    frame = CallsFrame(0, call.key, sizes, (), 0, 1e12, 0.0, payload)
    key = parse_record(call.key, CallKey)
    group = CallGroup(
        frame=frame, call_key=key, channel=channel, due=1e12, max_rows=len(rows)
    )
    group.columns = read_columns(frame, key)
    return Batch(group.take(len(rows)))


def _cost_us(width: int, bad: float | None) -> float:
    """Return microseconds for a batch after a row that begins with `bad` failed."""
    registry = MetricsRegistry(None)
    registry.start()
    isolation = FailureIsolation(
        runner="picky",
        runnable=Picky(),
        specs={"predict": SPEC},
        registry=registry,
        clock=MonotonicClock(),
    )
    if bad is not None:
        isolation.compute(_batch(np.full((1, width), bad), _NoChannel()))
    batch = _batch(np.ones((CALLS, width)), _NoChannel())
    timer = timeit.Timer(lambda: isolation.compute(batch))
    return min(timer.repeat(10, 500)) / 500 * 1e6


def main() -> None:
    """Run it."""
    logging.disable()
    print("numbers in a row   no failure   one recent failure (us)")
    for width in (4, 1000):
        costs = [_cost_us(width, bad) for bad in (None, 1e9)]
        print(f"{width:16d}   " + "   ".join(f"{cost:10.1f}" for cost in costs))


if __name__ == "__main__":
    main()
