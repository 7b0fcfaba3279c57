"""A channel that keeps what was sent, and a runner to answer by hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.api.admission import DeadlineWatch
from headway.api.runner_client import RunnerClient
from headway.core.method_spec import MethodSpec
from headway.ipc.frames import (
    CALLS,
    CANCEL,
    Buffer,
    FrameCutter,
    decode_calls,
    decode_record,
    encode_record_frame,
    encode_results,
    kind_of_frame,
)
from headway.ipc.records import CallsFrame, CancelFrame, ReadyFrame, ResultsFrame
from headway.ipc.rows import encode_array
from headway.metrics import MetricsRegistry
from headway.metrics.families import REFUSED, WASTED_ROWS
from tests.metrics.samples import samples_of

PREDICT = MethodSpec("predict", batchable=True)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Wire:
    """A channel that keeps what was sent, and a runner to answer by hand."""

    def __init__(self, *, timeout_s: float = 10.0, max_bytes: int = 2**20) -> None:
        self.registry = MetricsRegistry()
        self.registry.start()
        self.clock = Clock()
        self.frames: list[memoryview] = []
        self.sent = asyncio.Event()
        self.client = RunnerClient(
            name="iris",
            timeout_s=timeout_s,
            max_bytes=max_bytes,
            watch=DeadlineWatch(clock=self.clock, loop=asyncio.get_running_loop()),
            wasted_rows=self.registry.counter(WASTED_ROWS, ("iris",)),
            refused=lambda reason: self.registry.counter(REFUSED, (reason,)),
        )
        self.open()

    def open(self) -> None:
        """Connect, with a runner that is ready."""
        self.client.channel_opened(self)
        self.say(encode_record_frame(ReadyFrame("iris", 1)))

    def send(self, buffers: Sequence[Buffer]) -> None:
        self.frames.extend(FrameCutter().feed(b"".join(buffers)))
        self.sent.set()

    def close(self) -> None:
        self.client.channel_lost(self, None)

    def say(self, frame: bytes) -> None:
        self.client.frame_received(self, memoryview(frame))

    def counted(self, family: str) -> float:
        return sum(
            s.value for s in samples_of(self.registry) if s.family.name == family
        )

    async def calls(self) -> CallsFrame:
        """Return the next group that was sent."""
        await self._kind(CALLS)
        return decode_calls(self.frames.pop(0))

    async def cancelled(self) -> tuple[int, ...]:
        await self._kind(CANCEL)
        return decode_record(self.frames.pop(0), CancelFrame).calls

    async def _kind(self, kind: int) -> None:
        while not self.frames:
            self.sent.clear()
            await self.sent.wait()
        assert kind_of_frame(self.frames[0]) == kind

    def answer(
        self,
        calls: CallsFrame,
        values: Sequence[float],
        queue_delay_s: float = 0.0,
        row_s: float = 0.0,
    ) -> None:
        key, payload = encode_array(np.asarray(values), 0)
        self.say(
            b"".join(
                encode_results(
                    ResultsFrame(
                        group_id=calls.group_id,
                        first=0,
                        calls=len(calls.rows),
                        key=key,
                        sizes=(),
                        queue_delay_s=queue_delay_s,
                        row_s=row_s,
                        queue_s=0.0,
                        compute_s=0.0,
                        batch_rows=len(values),
                        payload=memoryview(payload),
                    )
                )
            )
        )

    def call(self, rows: int = 1, method: MethodSpec = PREDICT) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(
            self.client.call(method, (np.ones((rows, 2)),), {})
        )

    def late_s(self, deadline: float, priority: int) -> float:
        return self.client.queue_delay.late_s(deadline, priority, self.clock.time)

    async def fall_behind(self, queue_delay_s: float, row_s: float = 0.0) -> None:
        """Let a call be answered by a runner with a backlog."""
        task = self.call()
        self.answer(await self.calls(), [1.0], queue_delay_s, row_s)
        await task
