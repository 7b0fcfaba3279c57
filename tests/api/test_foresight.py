"""EarlyRejection: requests that their runner would refuse."""

from headway.api.early_rejection import EarlyRejection
from headway.api.request_options import RequestOptions
from headway.api.runner_client import RunnerClient
from headway.http.request import Answer
from tests.api.wire import Wire

TIMEOUT_S = 1.0


def refuse(foresight: EarlyRejection, wire: Wire, priority: int = 5) -> Answer | None:
    return foresight.refuse(wire.clock.time + TIMEOUT_S, priority)


async def behind(backlog_s: float = 3.0, row_s: float = 0.0) -> Wire:
    wire = Wire(timeout_s=TIMEOUT_S)
    await wire.fall_behind(backlog_s, row_s)
    return wire


def learn(
    foresight: EarlyRejection, first_call: RunnerClient | None, count: int
) -> None:
    for _ in range(count):
        served = RequestOptions(0.0)
        served.first_call = first_call
        foresight.learn(served, succeeded=True)


def give_up(
    foresight: EarlyRejection,
    client: RunnerClient,
    count: int,
    *,
    succeeded: bool = False,
) -> None:
    """Let calls be refused, whose functions have another answer or none."""
    for _ in range(count):
        served = RequestOptions(0.0)
        served.first_call, served.was_refused = client, True
        foresight.learn(served, succeeded=succeeded)


def knowing(wire: Wire) -> EarlyRejection:
    """Return one that has seen enough requests call the runner, and be refused."""
    foresight = EarlyRejection()
    give_up(foresight, wire.client, 100)
    return foresight


async def test_it_refuses_after_a_hundred_refused_calls_and_never_before() -> None:
    wire = await behind()
    foresight = EarlyRejection()
    learn(foresight, wire.client, 90)
    for _ in range(100):
        assert refuse(foresight, wire) is None
        give_up(foresight, wire.client, 1)
    answer = refuse(foresight, wire)
    assert answer is not None
    status, _, body, headers = answer
    assert status == 503
    assert b'"overloaded"' in body
    assert dict(headers) == {b"retry-after": b"2"}
    assert wire.counted("headway_refused_total") == 1


async def test_when_to_retry_follows_the_backlog() -> None:
    wire = await behind()
    foresight = knowing(wire)
    seconds = []
    for backlog_s in (2.5, 4.5, 4.4, 9.5):
        wire.clock.time += 60
        await wire.fall_behind(backlog_s)
        answer = refuse(foresight, wire)
        assert answer is not None
        seconds.append(int(dict(answer[3])[b"retry-after"]))
    assert seconds == [2, 4, 4, 9]


async def test_one_in_so_many_goes_on_to_the_function() -> None:
    wire = await behind()
    foresight = knowing(wire)
    let_in = [refuse(foresight, wire) is None for _ in range(640)]
    assert sum(let_in) == 10
    assert wire.counted("headway_refused_total") == 630, "those let in are no refusals"
    assert not any(let_in[:63])


async def test_it_stops_when_the_function_does_something_else() -> None:
    wire, other = await behind(), await behind(0.0)
    for first_call in (None, other.client):
        foresight = knowing(wire)
        learn(foresight, first_call, 1)
        assert refuse(foresight, wire) is None
        give_up(foresight, wire.client, 99)
        assert refuse(foresight, wire) is None
        give_up(foresight, wire.client, 1)
        assert refuse(foresight, wire) is not None


async def test_functions_with_an_answer_of_their_own_are_asked_each_time() -> None:
    wire = await behind()
    foresight = EarlyRejection()
    give_up(foresight, wire.client, 1000, succeeded=True)
    assert refuse(foresight, wire) is None
    foresight = knowing(wire)
    give_up(foresight, wire.client, 1, succeeded=True)  # one of those let through
    assert refuse(foresight, wire) is None


async def test_functions_that_call_no_runner_are_never_refused() -> None:
    wire = await behind()
    foresight = EarlyRejection()
    learn(foresight, None, 1000)
    assert refuse(foresight, wire) is None


async def test_more_urgent_requests_go_on_to_the_runner() -> None:
    wire = await behind()
    foresight = knowing(wire)
    assert refuse(foresight, wire, priority=5) is not None
    assert refuse(foresight, wire, priority=4) is None


async def test_without_a_backlog_all_go_on() -> None:
    wire = await behind(0.0)
    foresight = knowing(wire)
    for _ in range(1000):
        assert refuse(foresight, wire) is None
    assert wire.counted("headway_refused_total") == 0
