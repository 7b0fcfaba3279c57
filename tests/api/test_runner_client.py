"""The API worker's end of a runner, against a channel that the test answers."""

import asyncio

import numpy as np
import pytest

from headway.api.request_options import REQUEST_OPTIONS, RequestOptions
from headway.core.method_spec import MethodSpec
from headway.errors import (
    DeadlineExceededError,
    ModelCallError,
    OverloadedError,
    RunnerLostError,
    UnavailableError,
    UsageError,
    WireError,
)
from headway.ipc.frames import encode_record_frame
from headway.ipc.records import CancelFrame, ErrorRecord, FailureFrame
from tests.api.wire import PREDICT, Wire


async def test_calls_of_one_turn_are_sent_as_one_group_and_get_their_own_rows() -> None:
    wire = Wire()
    tasks = [wire.call(rows) for rows in (1, 3, 2)]
    calls = await wire.calls()
    assert calls.rows == (1, 3, 2)
    wire.answer(calls, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    results = await asyncio.gather(*tasks)
    assert [result.tolist() for result in results] == [[0.0], [1.0, 2.0, 3.0], [4, 5]]
    assert not wire.frames


async def test_results_are_writable() -> None:
    wire = Wire()
    task = wire.call()
    wire.answer(await wire.calls(), [1.0])
    result = await task
    result[0] = 7.0
    assert result.tolist() == [7.0]


async def test_a_backlog_beyond_the_deadline_refuses_at_once() -> None:
    wire = Wire(timeout_s=1.0)
    await wire.fall_behind(3.0)
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


async def test_calls_that_may_overtake_others_are_left_to_the_runner() -> None:
    wire = Wire(timeout_s=60.0)
    await wire.fall_behind(30.0)
    REQUEST_OPTIONS.set(RequestOptions(wire.clock.time + 1.0))
    task = wire.call()
    wire.answer(await wire.calls(), [2.0])
    assert (await task).tolist() == [2.0]


async def test_more_urgent_calls_are_left_to_the_runner() -> None:
    wire = Wire(timeout_s=1.0)
    await wire.fall_behind(3.0)
    deadline = wire.clock.time + 1.0
    assert wire.late_s(deadline, 5) > 0
    assert wire.late_s(deadline, 6) > 0
    assert wire.late_s(deadline, 4) <= 0


async def test_each_row_that_is_sent_delays_the_next() -> None:
    wire = Wire(timeout_s=1.0)
    await wire.fall_behind(0.5, row_s=0.11)
    tasks = [wire.call(rows) for rows in (1, 3, 1, 1)]
    assert (await wire.calls()).rows == (1, 3, 1), "0.55 s more than 0.5 s are too late"
    with pytest.raises(OverloadedError):
        await tasks[3]
    wire.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The runner's queue is gone with it.
    wire.open()
    await wire.fall_behind(0.0)


async def test_the_cost_of_one_method_refuses_no_call_of_another() -> None:
    wire = Wire(timeout_s=1.0)
    await wire.fall_behind(0.8, row_s=0.1)
    quick = wire.call(1000, MethodSpec("quick", batchable=True))
    wire.answer(await wire.calls(), [1.0] * 1000, row_s=1e-6)
    await quick
    for method in (PREDICT, MethodSpec("quick", batchable=True)):
        await wire.fall_behind(0.8, row_s=0.1)
        task = wire.call(1000, method)
        wire.answer(await wire.calls(), [1.0] * 1000)
        await task


async def test_the_round_trip_is_reserved_up_to_a_tenth_of_the_time() -> None:
    wire = Wire(timeout_s=1.0)
    for _ in range(60):
        task = wire.call()
        calls = await wire.calls()
        wire.clock.time += 0.010  # none of it in the runner
        wire.answer(calls, [1.0])
        await task
    task = wire.call()
    calls = await wire.calls()
    assert 0.009 < wire.clock.time + 1.0 - calls.deadline < 0.02
    wire.answer(calls, [1.0])
    await task
    REQUEST_OPTIONS.set(RequestOptions(wire.clock.time + 0.05))
    task = wire.call()
    calls = await wire.calls()
    assert wire.clock.time + 0.05 - calls.deadline == pytest.approx(0.005)
    wire.answer(calls, [1.0])
    await task


async def test_only_calls_in_flight_can_be_overtaken() -> None:
    wire = Wire(timeout_s=60.0)
    slow = wire.call()
    slow_calls = await wire.calls()
    REQUEST_OPTIONS.set(RequestOptions(wire.clock.time + 1.0))
    await wire.fall_behind(30.0)
    urgent = wire.clock.time + 1.0
    # The runner may run it before the slow one, so it may well be in time.
    assert wire.late_s(urgent, 5) <= 0
    wire.answer(slow_calls, [1.0], 30.0)
    await slow
    # That estimate was for calls with as much time as this one.
    assert wire.late_s(urgent, 5) <= 0
    urgent_call = wire.call()
    wire.answer(await wire.calls(), [1.0], 30.0)
    await urgent_call
    assert wire.late_s(urgent, 5) > 0


async def test_the_round_trip_opens_no_gap_behind_sent_calls() -> None:
    wire = Wire(timeout_s=1.0)
    for _ in range(60):
        task = wire.call()
        calls = await wire.calls()
        wire.clock.time += 0.010  # none of it in the runner
        wire.answer(calls, [1.0])
        await task
    sent = wire.call()
    await wire.calls()
    await wire.fall_behind(3.0)
    # Due later than the sent call, though by less than the round trip.
    wire.clock.time += 0.002
    assert wire.late_s(wire.clock.time + 1.0, 5) > 0
    sent.cancel()


async def test_the_reserved_round_trip_counts_for_refusals_too() -> None:
    wire = Wire(timeout_s=1.0)
    for took_s in (0.0, 0.020) * 60:
        task = wire.call()
        calls = await wire.calls()
        wire.clock.time += took_s  # none of it in the runner
        wire.answer(calls, [1.0])
        await task
    task = wire.call()
    calls = await wire.calls()
    set_aside_s = wire.clock.time + 1.0 - calls.deadline
    assert 0.03 < set_aside_s < 0.1
    wire.answer(calls, [1.0], 1.0 - 0.5 * set_aside_s)
    await task
    assert wire.late_s(wire.clock.time + 1.0, 5) > 0


async def test_unsent_calls_fail_if_the_runner_dies() -> None:
    wire = Wire()
    task = wire.call()
    await asyncio.sleep(0)  # it would be sent after this turn
    wire.close()
    with pytest.raises(RunnerLostError):
        await task
    assert not wire.frames


@pytest.mark.interpreted
async def test_a_call_too_large_for_a_frame_fails_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = Wire()
    monkeypatch.setattr("headway.ipc.frames.MAX_FRAME_BYTES", 1000)
    with pytest.raises(WireError, match="send less"):
        await wire.call(100)
    task = wire.call()
    wire.answer(await wire.calls(), [1.0])
    await task


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


async def test_calls_cancelled_before_the_end_of_the_turn_are_not_sent() -> None:
    wire = Wire()
    gone = wire.call()
    await asyncio.sleep(0)  # it would be sent after this turn
    gone.cancel()
    await asyncio.wait([gone])
    task = wire.call(3)
    calls = await wire.calls()
    assert calls.rows == (3,)
    wire.answer(calls, [1.0, 2.0, 3.0])
    assert (await task).tolist() == [1.0, 2.0, 3.0]
    assert not wire.frames


async def test_losing_the_runner_fails_its_calls_and_refuses_further_ones() -> None:
    wire = Wire()
    task = wire.call()
    await wire.calls()
    wire.close()
    with pytest.raises(RunnerLostError):
        await task
    assert not wire.client.is_ready
    with pytest.raises(UnavailableError):
        await wire.call()


async def test_an_error_reaches_only_its_calls() -> None:
    wire = Wire()
    tasks = [wire.call(), wire.call(), wire.call()]
    calls = await wire.calls()
    record = ErrorRecord("model_failed", "no", "abc")
    failure = encode_record_frame(FailureFrame(calls.group_id, 1, 1, record))
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
    wire.clock.time += 0.02
    with pytest.raises(DeadlineExceededError):
        await task
    assert await wire.cancelled() == (0,)
    wire.answer(calls, [1.0])
    assert wire.counted("headway_wasted_rows_total") == 1
    REQUEST_OPTIONS.set(RequestOptions(wire.clock.time - 1))
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


async def test_frames_that_no_runner_sends_raise() -> None:
    wire = Wire()
    with pytest.raises(WireError):
        wire.say(encode_record_frame(CancelFrame(1, (0,))))
    with pytest.raises(WireError):
        wire.say(
            encode_record_frame(FailureFrame(99, 0, 1, ErrorRecord("internal", "?")))
        )


async def test_a_call_that_failed_can_still_be_cancelled_before_it_goes_on() -> None:
    wire = Wire()
    tasks = [wire.call(), wire.call()]
    calls = await wire.calls()
    failure = FailureFrame(calls.group_id, 0, 1, ErrorRecord("model_failed", "no"))
    wire.say(encode_record_frame(failure))
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [asyncio.CancelledError] * 2
    assert await wire.cancelled() == (1,)
