"""The runner's end of a replica: what comes too late, or cannot be sent at all."""

from typing import Any

import numpy as np
import pytest

from headway.core.clock import MonotonicClock
from headway.errors import ModelCallError
from headway.ipc.frames import encode_record_frame, encode_results
from headway.ipc.records import ErrorRecord, FailureFrame, ReadyFrame, ResultsFrame
from headway.ipc.rows import encode_array
from headway.runner.replica import ReplicaLink
from tests.ipc.round_trip import Recorder
from tests.runner.stage import Stage, rows, same, turn

READY = memoryview(encode_record_frame(ReadyFrame(runner="model", pid=1)))


def results(number: int, first: int, *values: float) -> memoryview:
    key, raw = encode_array(rows(*values), 0)
    frame = encode_results(
        ResultsFrame(
            group_id=number,
            first=first,
            calls=len(values),
            key=key,
            sizes=(),
            queue_delay_s=0.0,
            row_s=0.0,
            queue_s=0.0,
            compute_s=0.001,
            batch_rows=len(values),
            payload=memoryview(raw),
        )
    )
    return memoryview(b"".join(frame))


def failure(number: int, first: int) -> memoryview:
    error = ErrorRecord("model_failed", "no", "abc")
    return memoryview(encode_record_frame(FailureFrame(number, first, 1, error)))


def linked(stage: Stage) -> tuple[ReplicaLink, Recorder]:
    link = ReplicaLink(dispatcher=stage.dispatcher, clock=MonotonicClock())
    channel = Recorder()
    link.channel_opened(channel)
    link.frame_received(channel, READY)
    return link, channel


async def test_a_replica_may_answer_in_several_frames() -> None:
    stage = Stage()
    client, (link, channel) = stage.client(), linked(stage)
    client.call(rows(1), rows(2), rows(3))
    await turn()
    assert len(channel.frames()) == 1
    link.frame_received(channel, failure(1, 1))
    link.frame_received(channel, results(1, 2, 6.0))
    assert client.frames() == []
    link.frame_received(channel, results(1, 0, 2.0))
    first, second, third = client.answers()
    assert same(first, 2)
    assert isinstance(second, ModelCallError)
    assert same(third, 6)
    stage.dispatcher.close()


async def test_warm_up_of_a_replica_seeds_the_cost_model() -> None:
    stage = Stage()
    costs = {"predict": [(1, 0.004), (8, 0.012)]}
    ready = encode_record_frame(ReadyFrame(runner="model", pid=1, costs=costs))
    link = ReplicaLink(dispatcher=stage.dispatcher, clock=MonotonicClock())
    link.channel_opened(Recorder())
    link.frame_received(Recorder(), memoryview(ready))
    cost = stage.scheduler.cost("predict")
    assert cost.mean(1) == pytest.approx(0.004)
    assert cost.mean(8) == pytest.approx(0.012)
    # What was learned since is better than what another replica measured.
    slower = {"predict": [(1, 9.0)]}
    ready = encode_record_frame(ReadyFrame(runner="model", pid=2, costs=slower))
    link = ReplicaLink(dispatcher=stage.dispatcher, clock=MonotonicClock())
    link.frame_received(Recorder(), memoryview(ready))
    assert cost.mean(1) == pytest.approx(0.004)
    stage.dispatcher.close()


async def test_answers_to_another_batch_are_ignored() -> None:
    stage = Stage()
    client, (link, channel) = stage.client(), linked(stage)
    client.call(rows(1))
    await turn()
    link.frame_received(channel, results(77, 0, 5.0))
    link.frame_received(channel, failure(77, 0))
    assert client.frames() == []
    link.frame_received(channel, results(1, 0, 2.0))
    link.frame_received(channel, results(1, 0, 2.0))
    link.frame_received(channel, failure(1, 0))
    assert same(client.answers()[0], 2)
    stage.dispatcher.close()


class Unreadable:
    """Pickles, but cannot be read where the runner's queue is."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


async def test_a_call_that_cannot_be_split_fails_alone() -> None:
    stage = Stage(max_rows=2)
    client, (link, channel) = stage.client(), linked(stage)
    client.call([Unreadable(), 1, 2, 3])
    client.call(np.ones(1), number=2)
    await turn()
    assert isinstance(client.answers()[0], ModelCallError)
    assert len(channel.frames()) == 1
    link.frame_received(channel, results(2, 0, 2.0))
    assert same(client.answers(2)[0], 2)
    assert stage.is_idle
    stage.dispatcher.close()


@pytest.mark.interpreted
async def test_a_batch_too_long_for_a_frame_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    client, (link, channel) = stage.client(), linked(stage)
    client.call(np.ones((1, 999)))
    with monkeypatch.context() as patch:
        patch.setattr("headway.ipc.frames.MAX_FRAME_BYTES", 1000)
        await turn()
    assert isinstance(client.answers()[0], ModelCallError)
    client.call(rows(1), number=2)
    await turn()
    link.frame_received(channel, results(2, 0, 2.0))
    assert same(client.answers(2)[0], 2)
    stage.dispatcher.close()
