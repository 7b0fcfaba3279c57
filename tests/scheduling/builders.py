"""Groups and schedulers for tests."""

import math
from collections.abc import Sequence
from typing import Any

from headway.config.schema import BatchingConfig
from headway.ipc.frames import Buffer
from headway.ipc.records import OPAQUE, CallKey, CallsFrame
from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler

NOW = 100.0


class NoChannel:
    """A channel that goes nowhere."""

    def send(self, buffers: Sequence[Buffer]) -> None: ...

    def close(self) -> None: ...


def group(
    *rows: int,
    due: float = math.inf,
    key: bytes = b"k",
    method: str = "predict",
    arrived_at: float = NOW,
    priority: int = 0,
    number: int = 0,
    **options: Any,
) -> CallGroup:
    payload = memoryview(b"")
    frame = CallsFrame(number, key, rows, (), priority, due, arrived_at, payload)
    return CallGroup(
        **{
            "frame": frame,
            "call_key": CallKey(method, OPAQUE),
            "channel": NoChannel(),
            "due": due,
            "max_rows": 10,
            **options,
        }
    )


def scheduler(*groups: CallGroup, replicas: int = 1, **batching: Any) -> Scheduler:
    made = Scheduler(config=BatchingConfig(**batching), replicas=replicas)
    for one in groups:
        assert made.arrive(one, NOW) is None
    return made


def teach(made: Scheduler, rows: int, seconds: float, now: float = NOW) -> None:
    for _ in range(10):
        made.cost("predict").observe(rows, seconds, now)


def dispatch(made: Scheduler, now: float = NOW) -> Dispatch:
    """Return the batch that starts now."""
    decision = made.schedule(now)
    assert isinstance(decision, Dispatch)
    assert decision.rows == sum(part.rows for part in decision.slices)
    return decision


def dispatched(made: Scheduler, now: float = NOW) -> list[int]:
    """Return the rows of the slices of a batch that starts now and ends at once."""
    batch = dispatch(made, now)
    made.update(batch.number, None, now)
    return [part.rows for part in batch.slices]


def occupy(made: Scheduler, rows: int, now: float = NOW) -> int:
    """Start a batch; return its number."""
    assert made.arrive(group(rows, key=b"alone", alone=True), now) is None
    return dispatch(made, now).number


def queue_delay_s(made: Scheduler, now: float = NOW) -> float:
    """Return when a call that a full queue rejects is to be retried."""
    rejection = made.arrive(group(1, nbytes=2**40), now)
    assert rejection is not None
    assert rejection.reason == "queue_full"
    return rejection.retry_after_s


def rejected(made: Scheduler, now: float = NOW) -> Rejection:
    decision = made.schedule(now)
    assert isinstance(decision, Rejection)
    return decision


def drop_head(made: Scheduler) -> None:
    """Take the next group out of the queue."""
    first = made.queue.next()
    assert first is not None
    made.queue.remove(first, first.head)
