"""A runner under test: real receiver, dispatcher and scheduler, controlled replicas."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from headway.config.schema import BatchingConfig
from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.ipc.call import EncodedCall
from headway.ipc.frames import Buffer, encode_calls, encode_record_frame
from headway.ipc.records import CancelFrame, ReadyFrame
from headway.metrics import MetricsRegistry
from headway.metrics.meters import RunnerMeters
from headway.runner.batch import Batch
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import Done
from headway.runner.receiver import RunnerReceiver
from headway.scheduling.scheduler import Scheduler
from tests.ipc.round_trip import (
    Named,
    Recorder,
    answers_of,
    encode,
    group_of,
    isolate,
    spec,
)
from tests.metrics.samples import samples_of

Model = Callable[..., Any]
SPECS: Mapping[str, MethodSpec] = {
    "predict": spec(),
    "other": MethodSpec("other", batchable=True),
    "whole": MethodSpec("whole"),
}


def double(rows: Any) -> Any:
    return rows * 2


class Replica:
    """An executor that computes when the test says so."""

    blocks = False
    number = 0

    def __init__(self, model: Model = double) -> None:
        self.model = model
        self.batches: list[Batch] = []
        self._done: Done | None = None
        self._started = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        return self._done is not None

    def start(self, batch: Batch, done: Done) -> None:
        assert self._done is None, "one batch at a time"
        self.batches.append(batch)
        self._done = done
        self._started.set()

    async def busy(self) -> Batch:
        """Return the current batch, once there is one."""
        async with asyncio.timeout(10):
            while not self.is_busy:
                self._started.clear()
                await self._started.wait()
        return self.batches[-1]

    def finish(self, took_s: float = 0.001) -> None:
        model = Named(predict=self.model, other=self.model, whole=self.model)
        outcomes = isolate(model, SPECS).compute(self.batches[-1])
        done, self._done = self._done, None
        assert done is not None
        self.batches[-1].took_s = took_s
        done(self, self.batches[-1], outcomes)

    async def serve(self, batches: int = 1) -> None:
        """Compute `batches` batches as they come."""
        for _ in range(batches):
            await self.busy()
            self.finish()


class Client(Recorder):
    """An API worker's channel: sends groups, keeps the answers."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self._stage = stage
        self._encoded: dict[int, list[EncodedCall]] = {}
        self._heard = asyncio.Event()
        stage.receiver.channel_opened(self)
        self.sent.clear()  # READY

    def send(self, buffers: Sequence[Buffer]) -> None:
        super().send(buffers)
        self._heard.set()

    async def heard(self) -> None:
        """Return once anything was answered from here on."""
        self._heard.clear()
        async with asyncio.timeout(10):
            await self._heard.wait()

    def call(
        self,
        *arrays: Any,
        number: int = 1,
        deadline_s: float = 60.0,
        method: str = "predict",
        priority: int = 0,
    ) -> None:
        """Send a group of one call for each array."""
        encoded = encode(SPECS[method], [((array,), {}) for array in arrays])
        assert len({call.key for call in encoded}) == 1
        self._encoded[number] = encoded
        now = time.monotonic()
        frame = encode_calls(
            group_id=number,
            key=encoded[0].key,
            rows=[call.rows for call in encoded],
            sizes=[call.nbytes for call in encoded] if encoded[0].pickled else (),
            parts=[part for call in encoded for part in call.parts],
            payload_bytes=sum(call.nbytes for call in encoded),
            priority=priority,
            deadline=now + deadline_s,
            sent_at=now,
        )
        self._stage.receiver.frame_received(self, memoryview(b"".join(frame)))

    def cancel(self, *calls: int, number: int = 1) -> None:
        frame = encode_record_frame(CancelFrame(number, tuple(calls)))
        self._stage.receiver.frame_received(self, memoryview(frame))

    def answers(self, number: int = 1) -> list[Any]:
        """Return each call's answer; fails if one has none, or two."""
        one = Recorder()
        one.sent = [bytes(one) for one in self.frames() if group_of(one) == number]
        return answers_of(one, self._encoded[number])


class Stage:
    """A dispatcher with its receiver; add replicas and clients."""

    def __init__(
        self,
        *,
        max_rows: int = 100,
        max_latency_ms: float = 60_000.0,
        max_queue_rows: int = 100_000,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.registry = MetricsRegistry(None)
        self.registry.start()
        batching = BatchingConfig(
            max_batch_size=max_rows,
            max_latency_ms=max_latency_ms,
            max_queue_rows=max_queue_rows,
        )
        self.scheduler = scheduler or Scheduler(config=batching, replicas=0)
        self.dispatcher = Dispatcher(
            name="model",
            scheduler=self.scheduler,
            meters=RunnerMeters(
                registry=self.registry, runner="model", methods=list(SPECS)
            ),
            clock=MonotonicClock(),
            loop=asyncio.get_running_loop(),
        )
        self.receiver = RunnerReceiver(
            ready=ReadyFrame(runner="model", pid=1),
            methods={
                name: replace(batching, enabled=one.batchable)
                for name, one in SPECS.items()
            },
            dispatcher=self.dispatcher,
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being computed."""
        return not (self.dispatcher._groups or self.dispatcher._busy)

    def replica(self, model: Model = double) -> Replica:
        made = Replica(model)
        self.dispatcher.add_replica(made)
        return made

    def client(self) -> Client:
        return Client(self)

    def counted(self, name: str) -> int:
        """Return the sum of a counter or gauge over its labels."""
        return sum(
            int(sample.value)
            for sample in samples_of(self.registry)
            if sample.family.name == name
        )


async def turn() -> None:
    """Let the loop run what is due now."""
    for _ in range(3):
        await asyncio.sleep(0)


def rows(*values: float) -> Any:
    return np.array(values, "f8")


def same(answer: Any, *values: float) -> bool:
    return isinstance(answer, np.ndarray) and answer.tolist() == list(values)
