"""Control messages between the supervisor and its processes, over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.config.resolution import resolve
from headway.core.method_spec import MethodSpec
from headway.server import control
from headway.server.control import (
    ControlChannel,
    Failed,
    Message,
    ProcessSpec,
    Ready,
)
from headway.server.placement import RunnerPlan, ServicePlan

CONFIG = resolve(
    config_file=None,
    service_dir=Path("/nowhere"),
    environ={"HEADWAY_API_SERVER__PORT": "4000"},
    flags={},
    runner_options={},
)
PLAN = ServicePlan(
    name="svc",
    runners=[
        RunnerPlan(
            name="model",
            methods={"predict": MethodSpec("predict", True, (0, 1))},
            options={"methods.predict.max_batch_size": 7},
            uses_gpu=True,
            multi_threaded=False,
        )
    ],
)
SPEC = ProcessSpec(
    role="runner",
    name="runner-model-0",
    service="service:svc",
    working_dir="/srv/ä b",
    config=CONFIG,
    run_dir="/tmp/run",
    runner="model",
    sockets=(5, 6),
    replicas=2,
    workers=3,
)
MESSAGES: list[Message] = [SPEC, PLAN, Ready(), Failed("why\nso")]


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[ControlChannel, ControlChannel]]:
    ours, theirs = [await ControlChannel.open(end) for end in socket.socketpair()]
    try:
        yield ours, theirs
    finally:
        await ours.aclose()
        await theirs.aclose()


async def test_messages_arrive_in_order() -> None:
    async with pair() as (ours, theirs):
        for message in MESSAGES:
            await ours.send(message)
        for message in MESSAGES:
            assert await theirs.receive() == message
        await theirs.send(Ready())
        assert await ours.receive() == Ready()


async def test_configuration_survives_the_channel() -> None:
    async with pair() as (ours, theirs):
        await ours.send(SPEC)
        came = await theirs.receive()
    assert came.config.config.api_server.port == 4000
    assert came.config.runner("model") == CONFIG.runner("model")


@given(st.text())
def test_any_message_is_one_line(text: str) -> None:
    line = control._encode(Failed(text))
    assert b"\n" not in line
    assert control._decode(line) == Failed(text)


async def test_plan_of_many_runners_fits() -> None:
    plan = ServicePlan("svc", PLAN.runners * 2000)
    async with pair() as (ours, theirs):
        sending = asyncio.ensure_future(ours.send(plan))
        assert await theirs.receive() == plan
        await sending


async def test_receive_returns_none_once_the_other_side_is_closed() -> None:
    async with pair() as (ours, theirs):
        await ours.send(Ready())
        await ours.aclose()
        assert await theirs.receive() == Ready()
        assert await theirs.receive() is None
        for _ in range(3):  # nothing happens, also once the reset has arrived
            await theirs.send(Ready())


async def test_receive_returns_none_after_a_partial_line() -> None:
    ours, theirs = socket.socketpair()
    channel = await ControlChannel.open(ours)
    theirs.sendall(b'{"type":"rea')
    theirs.close()
    assert await channel.receive() is None
    await channel.aclose()


async def test_receive_returns_none_after_a_reset() -> None:
    ours, theirs = socket.socketpair()
    channel = await ControlChannel.open(ours)
    await channel.send(Ready())
    theirs.close()  # with unread data, which resets the connection
    assert await channel.receive() is None
    await channel.aclose()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_messages_round_trip(message: Message) -> None:
    assert control._decode(control._encode(message)) == message
