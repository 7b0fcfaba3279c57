"""A full queue: calls that make room for more urgent ones are answered, once."""

from headway.errors import OverloadedError
from tests.runner.stage import Stage, rows, same, turn


async def test_evicted_calls_get_an_overload_error() -> None:
    stage = Stage(max_queue_rows=4)
    client, replica = stage.client(), stage.replica()
    client.call(rows(0), number=1)
    await replica.busy()
    client.call(rows(1), rows(2), number=2, priority=6)
    client.call(rows(3), rows(4), number=3, priority=5)
    client.call(rows(5), number=4, priority=4)
    client.call(rows(6), rows(7), number=5, priority=6)
    await client.heard()
    for answer in (*client.answers(2), *client.answers(5)):
        assert isinstance(answer, OverloadedError)
        assert answer.retry_after_s is not None
    assert "more urgent requests came" in client.answers(2)[0].message
    assert "its queue is full" in client.answers(5)[0].message
    assert stage.counted("headway_refused_total") == 4
    replica.finish()
    await replica.serve()
    assert same(client.answers(4)[0], 10)
    assert [answer.tolist() for answer in client.answers(3)] == [[6], [8]]
    assert stage.is_idle
    assert stage.dispatcher._groups == {}, "what is over is forgotten"
    stage.dispatcher.close()


async def test_an_evicted_split_call_is_answered_once() -> None:
    stage = Stage(max_rows=2, max_queue_rows=4)
    client, replica = stage.client(), stage.replica()
    client.call(rows(0, 1, 2, 3, 4), number=1, priority=5)
    await replica.busy()
    client.call(rows(6, 7, 8), number=2, priority=0)
    await client.heard()
    assert isinstance(client.answers(1)[0], OverloadedError)
    replica.finish()  # the call of this part is answered already
    await replica.serve(2)
    await turn()
    assert isinstance(client.answers(1)[0], OverloadedError)
    assert same(client.answers(2)[0], 12, 14, 16)
    assert stage.is_idle
    stage.dispatcher.close()


async def test_evicted_calls_are_answered_even_if_the_urgent_call_is_rejected() -> None:
    stage = Stage(max_queue_rows=4)
    client = stage.client()  # and no replica, so nothing else brings a turn
    client.call(rows(1, 2, 3), number=1, priority=5)
    client.call(rows(4), number=2, priority=6)
    await turn()
    client.call(rows(5, 6), number=3, priority=5)
    await turn()
    assert isinstance(client.answers(3)[0], OverloadedError)
    assert isinstance(client.answers(2)[0], OverloadedError)
    stage.dispatcher.close()
