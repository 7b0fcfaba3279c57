"""What does it cost to look for suspects, over a batch of a method that never fails?

64 calls of one row of 4 and of 1,000 numbers, and a model that does nothing.
runner.isolation looks at calls only after a failure; this is why.
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
from headway.ipc.records import CallsFrame, decode_call_key
from headway.metrics import MetricsRegistry
from headway.runner.batch import Batch, GroupPayload
from headway.runner.isolation import Isolation
from headway.scheduling.call_group import CallGroup

CALLS = 64
SPEC = MethodSpec("predict", batchable=True)


class Picky:
    """Refuses what the benchmark wants to be remembered."""

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
    load = GroupPayload(
        channel=channel, group_id=0, key=decode_call_key(call.key), frame=frame
    )
    group = CallGroup(
        key=call.key,
        method="predict",
        rows=sizes,
        due=1e12,
        arrived_at=0.0,
        max_rows=len(rows),
        load=load,
    )
    return Batch(pieces=list(group.take(len(rows))), rows=len(rows))


def _cost_us(width: int, bad: float | None) -> float:
    """Return microseconds for a batch after a row that begins with `bad` failed."""
    registry = MetricsRegistry(None)
    registry.start()
    isolation = Isolation(
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
    print("numbers in a row   no failure   one remembered   an infinite one (us)")
    for width in (4, 1000):
        costs = [_cost_us(width, bad) for bad in (None, 1e9, np.inf)]
        print(f"{width:16d}   " + "   ".join(f"{cost:10.1f}" for cost in costs))


if __name__ == "__main__":
    main()
