"""The dispatcher: every call is answered once, whatever its replicas do."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from headway.config.schema import BatchingConfig
from headway.errors import (
    DeadlineExceededError,
    ModelCallError,
    OverloadedError,
    WireError,
)
from headway.ipc.frames import (
    decode_results_frame,
    encode_calls,
    encode_record_frame,
)
from headway.ipc.records import ARRAYS, CallKey, ReadyFrame, encode_record
from headway.scheduling.scheduler import Dispatch, Rejection, Scheduler, Wait
from tests.runner.stage import Client, Stage, rows, same, turn


async def test_groups_of_one_event_loop_turn_share_a_batch(stage: Stage) -> None:
    one, other, replica = stage.client(), stage.client(), stage.replica()
    one.call(rows(1, 2), rows(3))
    other.call(rows(4))
    batch = await replica.busy()
    assert (batch.rows, batch.calls) == (4, 3)
    idle = [stage.is_idle]
    replica.finish()
    assert [answer.tolist() for answer in one.answers()] == [[2, 4], [6]]
    assert [answer.tolist() for answer in other.answers()] == [[8]]
    assert [*idle, stage.is_idle] == [False, True]
    assert stage.counted("headway_runner_rows_total") == 4
    assert stage.counted("headway_runner_queue_rows") == 0


async def test_calls_that_arrive_while_replicas_are_busy_share_the_next_batch(
    stage: Stage,
) -> None:
    client, replica = stage.client(), stage.replica()
    client.call(rows(1), number=1)
    await replica.busy()
    for number in (2, 3):
        client.call(rows(number), number=number)
    await turn()
    assert len(replica.batches) == 1
    replica.finish()
    await replica.serve()
    assert [batch.rows for batch in replica.batches] == [1, 2]
    assert same(client.answers(3)[0], 6)


async def test_queue_delay_counts_no_batch_that_ended_early(stage: Stage) -> None:
    stage.dispatcher.seed({"predict": [(1, 5.0), (2, 5.0)] * 20})
    client, replica = stage.client(), stage.replica()
    client.call(rows(1), number=1)
    await replica.busy()
    client.call(rows(2), number=2)
    replica.finish(took_s=0.001)
    [results] = map(decode_results_frame, client.frames())
    # One batch more, of the other call and one that comes now; not the rest of this.
    assert 4.0 < results.queue_delay_s < 6.0


async def test_methods_and_shapes_do_not_share_batches(stage: Stage) -> None:
    client, replica = stage.client(), stage.replica()
    client.call(rows(1), number=1)
    client.call(rows(2), number=2, method="other")
    client.call(np.ones((1, 2)), number=3)
    client.call(rows(4), number=4, method="whole")
    await replica.serve(4)
    assert [batch.calls for batch in replica.batches] == [1] * 4
    for number, answer in ((1, [2.0]), (2, [4.0]), (3, [[2.0, 2.0]]), (4, [8.0])):
        assert client.answers(number)[0].tolist() == answer


async def test_a_split_call_is_answered_once_and_whole() -> None:
    stage = Stage(max_rows=4)
    client, replicas = stage.client(), [stage.replica(), stage.replica()]
    client.call(np.arange(11.0), rows(7))
    first, second = [await replica.busy() for replica in replicas]
    assert {first.rows, second.rows} == {4}
    for replica in replicas:  # in whichever order: parts are put in theirs
        replica.finish()
    await turn()
    for replica in replicas:
        if replica.is_busy:
            replica.finish()
    whole, other = client.answers()
    assert whole.tolist() == (2 * np.arange(11.0)).tolist()
    assert same(other, 14)
    stage.dispatcher.close()


async def test_a_failed_part_fails_only_its_split_call_and_at_once() -> None:
    stage = Stage(max_rows=4)

    def refuse(x: np.ndarray) -> np.ndarray:
        if (x < 0).any():
            raise ValueError("negative")
        return x * 2

    client, replicas = stage.client(), [stage.replica(refuse), stage.replica(refuse)]
    client.call(np.array([-1.0] * 8 + [1.0] * 8), rows(7))
    for replica in replicas:
        await replica.busy()
    for replica in replicas:
        replica.finish()
    # The 8 rows that were still in the queue are not computed.
    await turn()
    (last,) = [replica for replica in replicas if replica.is_busy]
    assert last.batches[-1].rows == 1
    last.finish()
    failed, answered = client.answers()
    assert isinstance(failed, ModelCallError)
    assert same(answered, 14)
    assert stage.is_idle
    stage.dispatcher.close()


async def test_expired_calls_are_answered_while_replicas_are_busy(stage: Stage) -> None:
    client, replica = stage.client(), stage.replica()
    client.call(rows(0), number=2)
    await replica.busy()
    began = time.monotonic()
    client.call(rows(1), deadline_s=0.02)
    client.call(rows(5), number=3)
    await client.heard()
    assert time.monotonic() - began > 0.01
    assert isinstance(client.answers()[0], DeadlineExceededError)
    replica.finish()
    await replica.serve()
    assert same(client.answers(3)[0], 10)
    assert stage.counted("headway_refused_total") == 1


async def test_max_latency_rejects_queued_calls_as_overload() -> None:
    stage = Stage(max_latency_ms=20)
    client = stage.client()  # and no replica at all
    client.call(rows(1))
    await client.heard()
    assert isinstance(client.answers()[0], OverloadedError)
    stage.dispatcher.close()


async def test_an_expired_split_call_with_a_failed_part_is_answered_once() -> None:
    stage = Stage(max_rows=4)

    def fail(x: np.ndarray) -> np.ndarray:
        raise ValueError("no")

    client, replica = stage.client(), stage.replica(fail)
    client.call(np.arange(11.0), rows(7), deadline_s=0.1)
    await replica.busy()
    await client.heard()
    replica.finish()
    assert [type(answer) for answer in client.answers()] == [DeadlineExceededError] * 2
    assert stage.is_idle
    stage.dispatcher.close()


async def test_rejections_say_why() -> None:
    stage = Stage(max_queue_rows=2)
    client = stage.client()
    client.call(rows(1, 2), number=1)
    client.call(rows(3), rows(4), number=2)
    client.call(rows(5), number=3, deadline_s=-1.0)
    for answer in client.answers(2):
        assert isinstance(answer, OverloadedError)
        assert "its queue is full" in answer.message
        assert answer.retry_after_s is not None
    assert isinstance(client.answers(3)[0], DeadlineExceededError)
    assert stage.counted("headway_refused_total") == 3
    stage.dispatcher.close()


async def test_calls_that_cannot_be_in_time_are_rejected_or_dropped(
    stage: Stage,
) -> None:
    client, replica = stage.client(), stage.replica()
    for _ in range(3):
        stage.scheduler.cost("predict").observe(1, 5.0, time.monotonic())
    client.call(rows(0), number=1)
    await replica.busy()
    client.call(rows(1), number=2, deadline_s=6.0)
    (refused,) = client.answers(2)
    assert isinstance(refused, OverloadedError)
    assert "queue is too long to meet the deadline" in refused.message
    client.call(rows(2), number=3, deadline_s=30.0)
    stage.scheduler.cost("predict").observe(1, 5.0, time.monotonic())
    for _ in range(3):  # the model turns slow
        stage.scheduler.cost("predict").observe(1, 500.0, time.monotonic())
    replica.finish()
    await turn()
    (dropped,) = client.answers(3)
    assert isinstance(dropped, OverloadedError)
    assert "could not answer in time" in dropped.message


class Hesitant(Scheduler):
    """Waits once before each batch."""

    def __init__(self) -> None:
        super().__init__(config=BatchingConfig(), replicas=0)
        self.waits = 0
        self._has_waited = False

    def schedule(self, now: float) -> Dispatch | Wait | Rejection | None:
        if self.queue.rows and not self._has_waited:
            self._has_waited = True
            self.waits += 1
            return Wait(now + 0.002)
        self._has_waited = False
        return super().schedule(now)


@pytest.mark.interpreted
async def test_a_wait_ends_by_the_timer() -> None:
    scheduler = Hesitant()
    stage = Stage(scheduler=scheduler)
    client, replica = stage.client(), stage.replica()
    began = time.monotonic()
    client.call(rows(1))
    await replica.serve()
    assert time.monotonic() - began >= 0.002
    assert same(client.answers()[0], 2)
    assert scheduler.waits >= 1
    stage.dispatcher.close()


@pytest.fixture
async def client(stage: Stage) -> Client:
    return stage.client()


def bad_frames() -> Iterator[tuple[bytes, str]]:
    key = encode_record(CallKey("nothing", ARRAYS))
    fields = {"sizes": (), "parts": [], "payload_bytes": 0, "priority": 0}
    times = {"deadline": 1e12, "sent_at": 0.0}
    for rows_, method, says in (
        ((1,), "nothing", "unknown method 'nothing'"),
        ((1, 0), "predict", "a call without rows"),
    ):
        key = encode_record(CallKey(method, ARRAYS))
        frame = encode_calls(group_id=1, key=key, rows=rows_, **fields, **times)  # type: ignore[arg-type]  # many types
        yield b"".join(frame), says
    yield encode_record_frame(ReadyFrame(runner="x", pid=1)), "a frame of kind 3"


@pytest.mark.parametrize(("frame", "says"), list(bad_frames()))
async def test_invalid_frames_end_the_channel(
    stage: Stage, client: Client, frame: bytes, says: str
) -> None:
    with pytest.raises(WireError, match=says):
        stage.receiver.frame_received(client, memoryview(frame))


async def test_decoded_keys_are_bounded(
    stage: Stage, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.runner.receiver._KEYS_KEPT", 2)
    replica = stage.replica()
    for width in range(1, 8):
        client.call(np.ones((1, width)), number=width)
        await replica.serve()
        assert client.answers(width)[0].shape == (1, width)
    assert len(stage.receiver._keys) <= 2


async def test_groups_of_a_lost_channel_are_forgotten(
    stage: Stage, client: Client
) -> None:
    client.call(rows(1))
    stage.receiver.channel_lost(client, None)
    assert stage.dispatcher._groups == {}
    assert stage.is_idle
