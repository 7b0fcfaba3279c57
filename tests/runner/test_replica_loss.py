"""Replicas that die, leave and come: what becomes of the batches that they had."""

import asyncio

from headway.errors import (
    RunnerLostError,
)
from headway.metrics import Log
from headway.metrics.families import RECENT_BATCHES
from tests.metrics.samples import samples_of
from tests.runner.stage import Stage, rows, same, turn


async def test_the_batch_of_a_dead_replica_is_retried_on_another(stage: Stage) -> None:
    client, doomed = stage.client(), stage.replica()
    client.call(rows(1), rows(2, 3))
    await doomed.busy()
    other = stage.replica()
    stage.dispatcher.remove_replica(doomed)
    assert client.frames() == []
    await other.serve()
    assert [answer.tolist() for answer in client.answers()] == [[2], [4, 6]]
    doomed.finish()  # its answer comes too late, and is not given
    assert [answer.tolist() for answer in client.answers()] == [[2], [4, 6]]
    assert stage.is_idle


async def test_a_batch_that_kills_two_replicas_fails(stage: Stage) -> None:
    client = stage.client()
    replicas = [stage.replica() for _ in range(3)]
    client.call(rows(666))
    for _ in range(2):
        await turn()
        (victim,) = [replica for replica in replicas if replica.is_busy]
        replicas.remove(victim)
        stage.dispatcher.remove_replica(victim)
    (answer,) = client.answers()
    assert isinstance(answer, RunnerLostError)
    assert answer.retry_after_s == 1.0
    client.call(rows(1), number=2)
    await replicas[0].serve()
    assert same(client.answers(2)[0], 2)


async def test_the_death_of_the_last_replica_fails_its_batch_at_once(
    stage: Stage,
) -> None:
    client, only = stage.client(), stage.replica()
    client.call(rows(1))
    await only.busy()
    client.call(rows(2), number=2)
    stage.dispatcher.remove_replica(only)
    assert isinstance(client.answers()[0], RunnerLostError)
    # What waits is not lost: it waits for the next one, until it is due.
    await stage.replica().serve()
    assert same(client.answers(2)[0], 4)


async def test_a_batch_waiting_for_its_retry_fails_with_the_last_replica(
    stage: Stage,
) -> None:
    client, doomed, busy = stage.client(), stage.replica(), stage.replica()
    client.call(rows(1), number=1)
    await busy.busy()
    client.call(rows(2), number=2)
    await doomed.busy()
    stage.dispatcher.remove_replica(doomed)  # its batch waits for the other
    stage.dispatcher.remove_replica(busy)
    assert isinstance(client.answers(1)[0], RunnerLostError)
    assert isinstance(client.answers(2)[0], RunnerLostError)
    assert stage.is_idle


async def test_an_idle_replica_can_be_removed(stage: Stage) -> None:
    client, one, other = stage.client(), stage.replica(), stage.replica()
    stage.dispatcher.remove_replica(other)
    client.call(rows(1))
    await one.serve()
    assert same(client.answers()[0], 2)


async def test_replicas_are_waited_for(stage: Stage) -> None:
    waiting = asyncio.ensure_future(stage.dispatcher.wait_replicas(2))
    stage.replica()
    await turn()
    assert not waiting.done()
    stage.replica()
    await waiting
    await stage.dispatcher.wait_replicas(2)


async def test_replicas_and_their_batches_are_counted(stage: Stage) -> None:
    replica, client = stage.replica(), stage.client()
    client.call(rows(1, 2))
    await replica.busy()
    assert stage.counted("headway_replica_up") == 1
    assert stage.counted("headway_replica_busy") == 1
    replica.finish(took_s=3.0)
    assert stage.counted("headway_replica_busy") == 0
    assert stage.counted("headway_replica_busy_seconds_total") == 3
    [log] = [
        sample
        for sample in samples_of(stage.registry)
        if sample.family == RECENT_BATCHES and sample.labels[1] == "predict"
    ]
    assert Log.events(log.cells, 0) == [(2, 3_000_000_000)]
    stage.dispatcher.remove_replica(replica)
    assert stage.counted("headway_replica_up") == 0
