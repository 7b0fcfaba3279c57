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
    Described,
    Drain,
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
MESSAGES: list[Message] = [SPEC, Described(PLAN), Ready(), Failed("why\nso"), Drain()]


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[ControlChannel, ControlChannel]]:
    ours, theirs = (ControlChannel(connection=end) for end in socket.socketpair())
    await ours.start()
    await theirs.start()
    try:
        yield ours, theirs
    finally:
        await ours.aclose()
        await theirs.aclose()


async def test_messages_come_back_in_order() -> None:
    async with pair() as (ours, theirs):
        for message in MESSAGES:
            await ours.send(message)
        for message in MESSAGES:
            assert await theirs.receive() == message
        await theirs.send(Ready())
        assert await ours.receive() == Ready()


async def test_the_configuration_survives_the_trip() -> None:
    async with pair() as (ours, theirs):
        await ours.send(SPEC)
        came = await theirs.receive()
    assert came.config.config.api_server.port == 4000
    assert came.config.runner("model") == CONFIG.runner("model")


@given(st.text())
def test_any_message_fits_on_a_line(text: str) -> None:
    line = control._encode(Failed(text))
    assert b"\n" not in line
    assert control._decode(line) == Failed(text)


async def test_a_plan_of_many_runners_fits() -> None:
    plan = ServicePlan("svc", PLAN.runners * 2000)
    async with pair() as (ours, theirs):
        sending = asyncio.ensure_future(ours.send(Described(plan)))
        assert await theirs.receive() == Described(plan)
        await sending


async def test_the_end_of_the_other_side_is_none() -> None:
    async with pair() as (ours, theirs):
        await ours.send(Ready())
        await ours.aclose()
        assert await theirs.receive() == Ready()
        assert await theirs.receive() is None
        for _ in range(3):  # nothing happens, however late it is noticed
            await theirs.send(Drain())


async def test_a_line_cut_off_by_a_death_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    channel = ControlChannel(connection=ours)
    await channel.start()
    theirs.sendall(b'{"type":"rea')
    theirs.close()
    assert await channel.receive() is None
    await channel.aclose()


async def test_a_reset_connection_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    channel = ControlChannel(connection=ours)
    await channel.start()
    await channel.send(Ready())
    theirs.close()  # with what was sent still unread, which resets the connection
    assert await channel.receive() is None
    await channel.aclose()


async def test_before_it_is_started_nothing_happens() -> None:
    ours, theirs = socket.socketpair()
    channel = ControlChannel(connection=ours)
    await channel.send(Ready())
    assert await channel.receive() is None
    await channel.aclose()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_says_what_it_is(message: Message) -> None:
    assert control._decode(control._encode(message)) == message
