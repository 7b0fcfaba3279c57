"""Headway itself: the scheduler that serves, behind the simulator's interface."""

from collections.abc import Callable, Iterator

from benchmarks.simulation.policy import Drop
from benchmarks.simulation.request import Batch, Request
from headway.config.schema import BatchingConfig
from headway.ipc.records import OPAQUE, CallKey, CallsFrame
from headway.scheduling.queue import CallGroup
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler, Wait

__all__ = ["Production"]

_METHOD = "predict"
_KEY = _METHOD.encode()
_CALL_KEY = CallKey(_METHOD, OPAQUE)
_PAYLOAD = memoryview(b"")


class _Origin:
    """Stands for the channel of a request."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request

    def send(self, buffers: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Production:
    """The production scheduler; each request is a group of its own.

    Args:
        max_rows: Rows in a batch at the most.
        replicas: Batches at a time.
        seconds_of: Mean seconds of a batch by its rows, which warm-up would measure.
        config: Of the scheduler.
    """

    __slots__ = ("_max_rows", "scheduler")

    def __init__(
        self,
        *,
        max_rows: int,
        replicas: int,
        seconds_of: Callable[[int], float],
        config: BatchingConfig | None = None,
    ) -> None:
        self.scheduler = Scheduler(config=config or BatchingConfig(), replicas=replicas)
        self._max_rows = max_rows
        for rows in _warm_up_sizes(max_rows):
            self.scheduler.cost(_METHOD).observe(rows, seconds_of(rows), 0.0)

    def arrive(self, request: Request, now: float) -> bool:
        """Queue it, unless the scheduler rejects it."""
        due = request.due
        rows = (request.rows,)
        group = CallGroup(
            frame=CallsFrame(0, _KEY, rows, (), request.priority, due, now, _PAYLOAD),
            call_key=_CALL_KEY,
            channel=_Origin(request),
            due=due,
            max_rows=self._max_rows,
        )
        return self.scheduler.arrive(group, now) is None

    def schedule(self, now: float) -> Batch | Drop | Wait | None:
        """Return the scheduler's decision."""
        decision = self.scheduler.schedule(now)
        if isinstance(decision, Dispatch):
            requests = [_request_of(part.group) for part in decision.slices]
            return Batch(requests, decision.rows, decision.number)
        if isinstance(decision, Rejection):
            return Drop([_request_of(group) for group in decision.groups])
        return decision

    def update(self, batch: Batch, took_s: float, now: float) -> None:
        """Let the scheduler learn."""
        self.scheduler.update(batch.state, took_s, now)


def _request_of(group: CallGroup) -> Request:
    origin = group.channel
    assert isinstance(origin, _Origin)
    return origin.request


def _warm_up_sizes(largest: int) -> Iterator[int]:
    """Yield the sizes that runner/warmup.py runs before the first request."""
    rows = 1
    while rows < largest:
        yield rows
        rows *= 2
    yield largest
