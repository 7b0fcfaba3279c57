"""What does a step of the scheduler cost: groups arrive, a batch starts and is done?

Each group has 16 calls of one row and all of a step fit into a batch.
`python -m benchmarks.micro.bench_scheduler`
"""

import time

from headway.config.schema import BatchingConfig
from headway.ipc.records import ARRAYS, CallKey, CallsFrame
from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Dispatch, Scheduler

STEPS = 20_000
CALLS = 16
MAX_ROWS = 1000
BATCH_S = 0.004


class _NoChannel:
    def send(self, buffers: object) -> None:
        pass

    def close(self) -> None:
        pass


def main() -> None:
    """Run it."""
    print("groups in a step   us a step   us a call")
    for groups in (1, 2, 8):
        cost = min(_cost_us(groups) for _ in range(3))
        print(f"{groups:17d}   {cost:9.2f}   {cost / groups / CALLS:9.3f}")


def _cost_us(groups: int) -> float:
    """Return the microseconds of a step, on a simulated clock."""
    scheduler = Scheduler(config=BatchingConfig(max_wait_ms=0.0), replicas=1)
    key, channel, payload = CallKey("predict", ARRAYS), _NoChannel(), memoryview(b"")
    rows = (1,) * CALLS
    now = 100.0
    began = time.perf_counter()
    for _ in range(STEPS):
        for _ in range(groups):
            group = CallGroup(
                frame=CallsFrame(0, b"k", rows, (), 0, now + 1.0, now, payload),
                call_key=key,
                channel=channel,
                due=now + 1.0,
                max_rows=MAX_ROWS,
            )
            scheduler.arrive(group, now)
        dispatch = scheduler.schedule(now)
        assert isinstance(dispatch, Dispatch), dispatch
        now += BATCH_S
        scheduler.update(dispatch.number, BATCH_S, now)
    return (time.perf_counter() - began) / STEPS * 1e6


if __name__ == "__main__":
    main()
