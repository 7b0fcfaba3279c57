"""Calls that nobody waits for any longer: not computed, and counted."""

import numpy as np
import pytest

from headway.errors import (
    UnavailableError,
)
from tests.runner.stage import Model, Stage, double, rows, same, turn


async def test_cancelled_calls_are_not_computed(stage: Stage) -> None:
    client, replica = stage.client(), stage.replica()
    client.call(rows(0), number=9)
    await replica.busy()
    client.call(rows(1), rows(2), rows(3))
    client.cancel(0, 2)
    client.cancel(0)
    client.cancel(5)
    client.cancel(0, number=77)
    replica.finish()
    await replica.serve()
    assert replica.batches[-1].rows == 1
    answers = client.answers()
    assert isinstance(answers[0], UnavailableError)
    assert same(answers[1], 4)
    assert isinstance(answers[2], UnavailableError)
    assert stage.counted("headway_cancelled_rows_total") == 2


async def test_a_running_call_is_answered_although_cancelled(
    stage: Stage,
) -> None:
    client, replica = stage.client(), stage.replica()
    client.call(rows(1))
    await replica.busy()
    client.cancel(0)
    replica.finish()
    assert same(client.answers()[0], 2)


def fail_zero(x: np.ndarray) -> np.ndarray:
    if 0 in x:
        raise ValueError("zero")
    return x * 2


@pytest.mark.parametrize("model", [double, fail_zero])
async def test_the_rest_of_a_split_call_can_be_cancelled(model: Model) -> None:
    stage = Stage(max_rows=4)
    client, replica = stage.client(), stage.replica(model)
    client.call(np.arange(11.0), rows(7))
    await replica.busy()
    client.cancel(0)
    replica.finish()
    await replica.serve()
    assert [batch.rows for batch in replica.batches] == [4, 1]
    cancelled, answered = client.answers()
    assert isinstance(cancelled, UnavailableError)
    assert same(answered, 14)
    stage.dispatcher.close()


async def test_all_of_a_split_call_can_be_cancelled_before_it_starts() -> None:
    stage = Stage(max_rows=4)
    client, replica = stage.client(), stage.replica()
    client.call(rows(0), number=2)
    await replica.busy()
    client.call(np.arange(11.0))
    client.cancel(0)
    replica.finish()
    await turn()
    assert len(replica.batches) == 1
    assert isinstance(client.answers()[0], UnavailableError)
    assert stage.dispatcher._groups == {}, "what is over is forgotten"
    stage.dispatcher.close()


async def test_a_lost_channel_withdraws_its_calls(stage: Stage) -> None:
    gone, stays, replica = stage.client(), stage.client(), stage.replica()
    stays.call(rows(0), number=2)
    await replica.busy()
    gone.call(rows(1), rows(2))
    stays.call(rows(3))
    stage.receiver.channel_lost(gone, ConnectionResetError("gone"))
    replica.finish()
    await replica.serve()
    assert replica.batches[-1].rows == 1
    assert same(stays.answers()[0], 6)
    assert stage.counted("headway_cancelled_rows_total") == 2
