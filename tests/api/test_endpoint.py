"""An endpoint: early rejection, the concurrency limit and each request's deadline."""

import asyncio
from typing import Any

import numpy as np
import pytest

from headway.api.request_options import REQUEST_OPTIONS
from headway.errors import DeadlineExceededError, HeadwayError, OverloadedError
from tests.api.edge import Edge
from tests.api.wire import PREDICT, Wire


async def behind(
    queue_delay_s: float, row_s: float = 0.0, fallback: Any = None
) -> tuple[Edge, Wire]:
    """Return an endpoint with early rejection, and a runner with a backlog."""
    wire = Wire(timeout_s=1.0)

    async def predict(row: float) -> Any:
        try:
            result = await wire.client.call(PREDICT, (np.array([[row]]),), {})
        except OverloadedError:
            if fallback is None:
                raise
            return fallback
        return result.tolist()

    edge = Edge(predict, timeout_s=1.0, clock=wire.clock)
    for _ in range(100):
        edge.send(b"1")
    wire.answer(await wire.calls(), [1.0] * 100)
    await edge.answered()
    assert edge.statuses == {200: 100}
    await wire.fall_behind(30.0)
    for _ in range(100):
        edge.send(b"1")
    await edge.answered()
    edge.statuses.clear()
    wire.clock.time += 60
    await wire.fall_behind(queue_delay_s, row_s)
    return edge, wire


def fill(edge: Edge) -> int:
    """Send requests until one is refused; return how many were admitted."""
    refused = edge.statuses[503]
    sent = 0
    while edge.statuses[503] == refused:
        edge.send(b"1")
        sent += 1
    return sent - 1


async def test_late_requests_are_refused_before_they_are_decoded() -> None:
    edge, wire = await behind(3.0)
    edge.send(b"no JSON")
    assert edge.statuses[503] == 1
    assert not wire.frames
    assert edge.limit.serving == 0
    edge.close()


async def test_functions_that_handle_the_refusal_always_run() -> None:
    edge, _ = await behind(3.0, fallback="the usual")
    for _ in range(200):
        edge.send(b"1")
    await edge.answered()
    assert edge.statuses == {200: 200}
    edge.close()


async def test_a_turn_admits_no_more_than_the_runner_has_time_for() -> None:
    edge, wire = await behind(0.5, row_s=0.05)
    for _ in range(30):
        edge.send(b"no JSON")
    assert edge.statuses[400] == 30, "those that never call take no room"
    room = fill(edge)
    assert 9 <= room <= 11
    calls = await wire.calls()
    assert len(calls.rows) == room
    wire.answer(calls, [1.0] * room)
    await edge.answered()
    assert edge.statuses[200] == room
    edge.close()


async def test_a_request_may_have_less_time_than_configured_but_not_more() -> None:
    deadlines = []

    async def record(_: Any) -> None:
        deadlines.append(REQUEST_OPTIONS.get().deadline)

    edge = Edge(record, timeout_s=0.5)
    for header in (b"", b"headway-timeout-ms: 300\r\n", b"headway-timeout-ms: 900\r\n"):
        sent = edge.send(b"1", header)
        deadlines[-1] -= sent.received_at
    await edge.answered()
    assert deadlines == pytest.approx([0.5, 0.3, 0.5])
    edge.close()


async def test_more_requests_than_the_limit_are_refused() -> None:
    gate = asyncio.Event()
    edge = Edge(lambda _: gate.wait(), max_concurrency=2)
    for _ in range(5):
        edge.send(b"1")
    assert edge.statuses == {429: 3}
    gate.set()
    await edge.answered()
    assert edge.statuses == {429: 3, 200: 2}
    assert edge.limit.serving == 0
    edge.close()


async def call(wire: Wire) -> Any:
    return (await wire.client.call(PREDICT, (np.ones((1, 2)),), {})).tolist()


async def test_a_deadline_answers_the_request_and_cancels_its_call() -> None:
    wire = Wire()
    edge = Edge(lambda _: call(wire), timeout_s=0.05, clock=wire.clock)
    edge.send(b"1")
    calls = await wire.calls()
    wire.clock.time += 1
    await edge.answered()
    assert edge.statuses == {504: 1}
    assert await wire.cancelled() == (0,)
    wire.answer(calls, [1.0])
    assert wire.counted("headway_wasted_rows_total") == 1
    edge.close()


async def test_a_call_outlives_its_request_but_not_the_deadline() -> None:
    wire = Wire()
    background: list[asyncio.Task[Any]] = []

    async def detach(_: Any) -> None:
        background.append(asyncio.create_task(call(wire)))

    edge = Edge(detach, timeout_s=0.05, clock=wire.clock)
    edge.send(b"1")
    await edge.answered()
    assert edge.statuses == {200: 1}
    await wire.calls()
    wire.clock.time += 1
    with pytest.raises(DeadlineExceededError):
        await background[0]
    assert await wire.cancelled() == (0,)
    edge.close()


async def test_a_runner_timeout_fails_the_call_before_its_request() -> None:
    wire = Wire(timeout_s=0.05)

    async def predict(_: Any) -> str:
        try:
            await call(wire)
        except DeadlineExceededError:
            return "the usual"
        return "the result"

    edge = Edge(predict, timeout_s=10.0, clock=wire.clock)
    edge.send(b"1")
    await wire.calls()
    wire.clock.time += 1
    await edge.answered()
    assert edge.statuses == {200: 1}
    edge.close()


async def test_a_users_error_class_may_take_other_arguments() -> None:
    class ModelDriftError(HeadwayError):
        code = "model_drift"

        def __init__(self, feature: str, *, score: float) -> None:
            super().__init__(f"{feature} has drifted by {score}")

    async def predict(_: Any) -> None:
        raise ModelDriftError("age", score=0.5)

    edge = Edge(predict)
    edge.send(b"1")
    await edge.answered()
    assert edge.statuses == {500: 1}
    assert b'"code":"model_drift"' in edge.bodies[0]
    assert b"age has drifted by 0.5; the log has the traceback" in edge.bodies[0]
    edge.close()
