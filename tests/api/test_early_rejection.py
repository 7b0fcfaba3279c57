"""EarlyRejection: requests are refused if their function's call would be refused."""

from headway.api.admission import EarlyRejection
from headway.http.request import Answer
from tests.api.wire import Wire

TIMEOUT_S = 1.0


def answer_of(
    rejection: EarlyRejection, wire: Wire, priority: int = 5
) -> Answer | None:
    now = wire.clock.time
    return rejection.answer_of(now + TIMEOUT_S, priority, now)


async def overloaded(queue_delay_s: float = 3.0, row_s: float = 0.0) -> Wire:
    wire = Wire(timeout_s=TIMEOUT_S)
    await wire.fall_behind(queue_delay_s, row_s)
    return wire


def learn_served(rejection: EarlyRejection, wire: Wire | None, count: int) -> None:
    """Let functions call a runner, or none, and succeed."""
    queue = None if wire is None else wire.client.queue_delay
    for _ in range(count):
        rejection.learn(queue, was_refused=False, succeeded=True)


def learn_refused(
    rejection: EarlyRejection, wire: Wire, count: int, *, succeeded: bool = False
) -> None:
    """Let calls be refused; their functions return an answer all the same, or not."""
    for _ in range(count):
        rejection.learn(wire.client.queue_delay, was_refused=True, succeeded=succeeded)


def certain(wire: Wire) -> EarlyRejection:
    """Return one that has seen enough refused calls."""
    rejection = EarlyRejection()
    learn_refused(rejection, wire, 100)
    return rejection


async def test_rejection_starts_after_100_refused_calls() -> None:
    wire = await overloaded()
    rejection = EarlyRejection()
    learn_served(rejection, wire, 90)
    for _ in range(100):
        assert answer_of(rejection, wire) is None
        learn_refused(rejection, wire, 1)
    answer = answer_of(rejection, wire)
    assert answer is not None
    status, _, body, headers = answer
    assert status == 503
    assert b'"overloaded"' in body
    assert dict(headers) == {b"retry-after": b"2"}
    assert wire.counted("headway_refused_total") == 1


async def test_retry_after_follows_the_backlog() -> None:
    wire = await overloaded()
    rejection = certain(wire)
    seconds = []
    for queue_delay_s in (2.5, 4.5, 4.4, 9.5):
        wire.clock.time += 60
        await wire.fall_behind(queue_delay_s)
        answer = answer_of(rejection, wire)
        assert answer is not None
        seconds.append(int(dict(answer[3])[b"retry-after"]))
    assert seconds == [2, 4, 4, 9]


async def test_every_64th_request_goes_on_to_its_function() -> None:
    wire = await overloaded()
    rejection = certain(wire)
    admitted = [answer_of(rejection, wire) is None for _ in range(640)]
    assert sum(admitted) == 10
    assert wire.counted("headway_refused_total") == 630, "admitted ones do not count"
    assert not any(admitted[:63])


async def test_rejection_stops_when_the_function_behaves_differently() -> None:
    wire, other = await overloaded(), await overloaded(0.0)
    for called in (None, other):
        rejection = certain(wire)
        learn_served(rejection, called, 1)
        assert answer_of(rejection, wire) is None
        learn_refused(rejection, wire, 99)
        assert answer_of(rejection, wire) is None
        learn_refused(rejection, wire, 1)
        assert answer_of(rejection, wire) is not None


async def test_functions_that_handle_the_refusal_always_run() -> None:
    wire = await overloaded()
    rejection = EarlyRejection()
    learn_refused(rejection, wire, 1000, succeeded=True)
    assert answer_of(rejection, wire) is None
    rejection = certain(wire)
    learn_refused(rejection, wire, 1, succeeded=True)  # an admitted one
    assert answer_of(rejection, wire) is None


async def test_functions_that_call_no_runner_are_never_rejected() -> None:
    wire = await overloaded()
    rejection = EarlyRejection()
    learn_served(rejection, None, 1000)
    assert answer_of(rejection, wire) is None


async def test_more_urgent_requests_go_on_to_the_runner() -> None:
    wire = await overloaded()
    rejection = certain(wire)
    assert answer_of(rejection, wire, priority=5) is not None
    assert answer_of(rejection, wire, priority=4) is None


async def test_without_a_backlog_all_go_on() -> None:
    wire = await overloaded(0.0)
    rejection = certain(wire)
    for _ in range(1000):
        assert answer_of(rejection, wire) is None
    assert wire.counted("headway_refused_total") == 0
