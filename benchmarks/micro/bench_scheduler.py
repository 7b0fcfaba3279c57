"""What does a step of the scheduler cost: groups arrive, a batch starts and is done?

Each group has 16 calls of one row and all of a step fit into a batch.
`python -m benchmarks.micro.bench_scheduler`
"""

import time

from headway.scheduling.call_group import CallGroup
from headway.scheduling.scheduler import Dispatch, Scheduler, SchedulerLimits

STEPS = 20_000
CALLS = 16
MAX_ROWS = 1000
BATCH_S = 0.004


def main() -> None:
    """Run it."""
    print("groups in a step   us a step   us a call")
    for groups in (1, 2, 8):
        cost = min(_cost_us(groups) for _ in range(3))
        print(f"{groups:17d}   {cost:9.2f}   {cost / groups / CALLS:9.3f}")


def _cost_us(groups: int) -> float:
    """Return microseconds for a step, the clock being ours."""
    scheduler = Scheduler(limits=SchedulerLimits(max_wait_s=0.0), replicas=1)
    now = 100.0
    began = time.perf_counter()
    for number in range(STEPS):
        for _ in range(groups):
            group = CallGroup(
                key=b"predict",
                method="predict",
                rows=(1,) * CALLS,
                due=now + 1.0,
                arrived_at=now,
                max_rows=MAX_ROWS,
            )
            scheduler.arrive(group, now)
        dispatch = scheduler.decide(now)
        assert isinstance(dispatch, Dispatch), dispatch
        rows = groups * CALLS
        scheduler.started(number, "predict", rows, now)
        now += BATCH_S
        scheduler.finished(number, "predict", rows, rows, BATCH_S, now)
    return (time.perf_counter() - began) / STEPS * 1e6


if __name__ == "__main__":
    main()
