"""The API worker's end of a runner, against a channel that the test answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from headway.api.runner_client import RunnerClient
from headway.api.terms import TERMS, Terms
from headway.errors import (
    DeadlineExceededError,
    ModelCallError,
    OverloadedError,
    RunnerLostError,
    UnavailableError,
    UsageError,
    WireError,
)
from headway.metrics import MetricsRegistry
from headway.metrics.families import REFUSED, WASTED_ROWS
from headway.payload.call import Buffer
from headway.payload.result import encode_array
from headway.signature import MethodSpec
from headway.transport.framing import FrameCutter
from headway.wire import (
    CALLS,
    CANCEL,
    CallsFrame,
    ErrorRecord,
    ReadyRecord,
    decode_calls,
    decode_cancel,
    encode_cancel,
    encode_failure,
    encode_ready,
    encode_results,
    kind_of_frame,
)

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
            clock=self.clock,
            loop=asyncio.get_running_loop(),
            wasted_rows=self.registry.counter(WASTED_ROWS, ("iris",)),
            refused=lambda reason: self.registry.counter(REFUSED, (reason,)),
        )
        self.client.channel_opened(self)
        self.say(encode_ready(ReadyRecord("iris", 1)))

    def send(self, buffers: Sequence[Buffer]) -> None:
        self.frames.extend(FrameCutter().feed(b"".join(buffers)))
        self.sent.set()

    def close(self) -> None:
        self.client.channel_lost(self, None)

    def say(self, frame: bytes) -> None:
        self.client.frame_received(self, memoryview(frame))

    def counted(self, family: str) -> int:
        return sum(s.value for s in self.registry.samples() if s.family.name == family)

    async def calls(self) -> CallsFrame:
        """Return the next cohort that was sent."""
        await self._kind(CALLS)
        return decode_calls(self.frames.pop(0))

    async def cancelled(self) -> tuple[int, ...]:
        await self._kind(CANCEL)
        return decode_cancel(self.frames.pop(0)).calls

    async def _kind(self, kind: int) -> None:
        while not self.frames:
            self.sent.clear()
            await self.sent.wait()
        assert kind_of_frame(self.frames[0]) == kind

    def answer(
        self,
        calls: CallsFrame,
        values: Sequence[float],
        backlog_s: float = 0.0,
        row_s: float = 0.0,
    ) -> None:
        key, payload = encode_array(np.asarray(values), 0)
        self.say(
            b"".join(
                encode_results(
                    cohort_id=calls.cohort_id,
                    first=0,
                    calls=len(calls.rows),
                    key=key,
                    sizes=(),
                    parts=[payload],
                    payload_bytes=len(payload),
                    backlog_s=backlog_s,
                    row_s=row_s,
                    queue_s=0.0,
                    compute_s=0.0,
                    batch_rows=len(values),
                )
            )
        )

    def call(self, rows: int = 1) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(
            self.client.call(PREDICT, (np.ones((rows, 2)),), {})
        )


async def test_calls_of_one_turn_leave_as_one_cohort_and_get_their_own_rows() -> None:
    wire = Wire()
    tasks = [wire.call(rows) for rows in (1, 3, 2)]
    calls = await wire.calls()
    assert calls.rows == (1, 3, 2)
    wire.answer(calls, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    results = await asyncio.gather(*tasks)
    assert [result.tolist() for result in results] == [[0.0], [1.0, 2.0, 3.0], [4, 5]]
    assert not wire.frames


async def test_a_result_is_the_callers_to_write_to() -> None:
    wire = Wire()
    task = wire.call()
    wire.answer(await wire.calls(), [1.0])
    result = await task
    result[0] = 7.0
    assert result.tolist() == [7.0]


async def test_a_backlog_beyond_the_deadline_refuses_at_once() -> None:
    wire = Wire(timeout_s=1.0)
    task = wire.call()
    wire.answer(await wire.calls(), [1.0], backlog_s=3.0)
    await task
    with pytest.raises(OverloadedError) as refused:
        await wire.call()
    assert refused.value.retry_after_s == pytest.approx(2.0)
    assert wire.counted("headway_refused_total") == 1
    assert not wire.frames
    # Once the backlog is worked off by the clock, calls are let in again.
    wire.clock.time += 2.5
    task = wire.call()
    wire.answer(await wire.calls(), [2.0])
    assert (await task).tolist() == [2.0]


async def test_a_call_that_may_overtake_others_is_left_to_the_runner() -> None:
    wire = Wire(timeout_s=60.0)
    task = wire.call()
    wire.answer(await wire.calls(), [1.0], backlog_s=30.0)
    await task
    TERMS.set(Terms(wire.clock.time + 1.0))
    task = wire.call()
    wire.answer(await wire.calls(), [2.0])
    assert (await task).tolist() == [2.0]


async def test_a_cancelled_call_is_withdrawn_and_counts_if_it_is_computed() -> None:
    wire = Wire()
    kept, gone = wire.call(), wire.call(2)
    calls = await wire.calls()
    gone.cancel()
    assert await wire.cancelled() == (1,)
    wire.answer(calls, [1.0, 2.0, 3.0])
    assert (await kept).tolist() == [1.0]
    assert gone.cancelled()
    assert wire.counted("headway_wasted_rows_total") == 2


async def test_calls_that_nobody_waits_for_any_more_are_not_sent() -> None:
    wire = Wire()
    gone = wire.call()
    await asyncio.sleep(0)  # it boards, and leaves after this turn
    gone.cancel()
    await asyncio.wait([gone])
    task = wire.call(3)
    calls = await wire.calls()
    assert calls.rows == (3,)
    wire.answer(calls, [1.0, 2.0, 3.0])
    assert (await task).tolist() == [1.0, 2.0, 3.0]
    assert not wire.frames


async def test_losing_the_runner_fails_what_is_in_flight_and_refuses_the_rest() -> None:
    wire = Wire()
    task = wire.call()
    await wire.calls()
    wire.close()
    with pytest.raises(RunnerLostError):
        await task
    assert not wire.client.is_ready
    with pytest.raises(UnavailableError):
        await wire.call()


async def test_an_error_reaches_the_calls_that_it_is_for() -> None:
    wire = Wire()
    tasks = [wire.call(), wire.call(), wire.call()]
    calls = await wire.calls()
    record = ErrorRecord("model_failed", "no", "abc")
    failure = encode_failure(cohort_id=calls.cohort_id, first=1, calls=1, error=record)
    wire.say(failure)
    with pytest.raises(ModelCallError, match="no") as raised:
        await tasks[1]
    assert raised.value.error_id == "abc"
    assert not tasks[0].done()
    wire.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_deadline_that_passed_is_an_error_before_and_after_sending() -> None:
    wire = Wire(timeout_s=0.001)
    task = wire.call()
    calls = await wire.calls()
    with pytest.raises(DeadlineExceededError):
        await task
    assert await wire.cancelled() == (0,)
    wire.answer(calls, [1.0])
    assert wire.counted("headway_wasted_rows_total") == 1
    TERMS.set(Terms(wire.clock.time - 1))
    with pytest.raises(DeadlineExceededError):
        await wire.call()


async def test_bytes_in_flight_are_bounded() -> None:
    wire = Wire(max_bytes=40)
    task = wire.call(2)
    calls = await wire.calls()
    with pytest.raises(OverloadedError, match="max_queue_bytes"):
        await wire.call()
    wire.answer(calls, [1.0, 2.0])
    await task
    task = wire.call(2)
    wire.answer(await wire.calls(), [1.0, 2.0])
    await task


async def test_a_blocking_call_on_the_loop_says_what_to_write_instead() -> None:
    wire = Wire()
    with pytest.raises(UsageError, match="async_run"):
        wire.client.call_blocking(PREDICT, (np.ones((1, 2)),), {})


async def test_a_blocking_call_from_a_thread_waits_for_its_answer() -> None:
    wire = Wire()
    thread = asyncio.create_task(
        asyncio.to_thread(wire.client.call_blocking, PREDICT, (np.ones((1, 2)),), {})
    )
    wire.answer(await wire.calls(), [5.0])
    assert (await thread).tolist() == [5.0]


async def test_what_no_runner_says_closes_the_channel() -> None:
    wire = Wire()
    with pytest.raises(WireError):
        wire.say(encode_cancel(cohort_id=1, calls=[0]))
    with pytest.raises(WireError):
        wire.say(
            encode_failure(
                cohort_id=99, first=0, calls=1, error=ErrorRecord("internal", "?")
            )
        )
