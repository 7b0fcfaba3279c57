"""Channels of every kind, under every event loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import LENGTH
from tests.ipc.connections import REFUSED, Owner, connected, frame

Scenario = Callable[[Owner, Owner], Awaitable[None]]
Run = Callable[[Scenario], None]
LOOPS: dict[str, Callable[[Coroutine[Any, Any, None]], None]] = {
    "asyncio": asyncio.run,
    "uvloop": uvloop.run,
}


@pytest.fixture(
    params=[f"{kind}-{loop}" for kind in ("unix", "memory", "local") for loop in LOOPS]
)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Return a function that runs a scenario over one kind of channel."""
    kind, loop = request.param.split("-")

    def run_scenario(scenario: Scenario) -> None:
        async def main() -> None:
            async with connected(kind, tmp_path) as (client, server):
                await scenario(client, server)

        LOOPS[loop](main())

    return run_scenario


def test_frames_arrive_in_order_both_ways(run: Run) -> None:
    async def scenario(client: Owner, server: Owner) -> None:
        random_ = random.Random(5)
        sent = [frame(random_.randbytes(random_.randrange(3000))) for _ in range(300)]
        for one, other in ((client, server), (server, client)):
            for at in range(0, len(sent), 3):
                one.channel.send(sent[at : at + 3])
            await other.until(lambda other=other: len(other.views) == len(sent))  # type: ignore[misc]  # bound early
            assert other.frames == sent

    run(scenario)


def test_large_frames_arrive_whole(run: Run) -> None:
    async def scenario(client: Owner, server: Owner) -> None:
        body = random.Random(1).randbytes(24 * 2**20)
        whole = frame(body)
        # In parts, as arrays go out without being joined first.
        client.channel.send([whole[:8], memoryview(whole)[8:]])
        client.channel.send([frame(b"after")])
        await server.until(lambda: len(server.views) == 2)
        assert server.frames == [whole, frame(b"after")]

    run(scenario)


def test_close_sends_everything_and_is_reported_once(run: Run) -> None:
    async def scenario(client: Owner, server: Owner) -> None:
        channel = client.channel
        for _ in range(100):
            channel.send([frame(b"x" * 5000)])
        channel.close()
        channel.close()
        await server.until(lambda: bool(server.lost))
        await client.until(lambda: bool(client.lost))
        assert len(server.views) == 100
        channel.send([frame(b"too late")])
        server.opened[0].send([frame(b"too late")])
        channel.close()
        await asyncio.sleep(0)
        assert len(server.views) == 100
        assert [lost is channel for lost, _ in client.lost] == [True]
        assert len(server.lost) == 1

    run(scenario)


@pytest.mark.parametrize(
    "bad", [frame(REFUSED), LENGTH.pack(3) + bytes(12)], ids=["refused", "no frame"]
)
def test_a_bad_frame_ends_the_channel(run: Run, bad: bytes) -> None:
    async def scenario(client: Owner, server: Owner) -> None:
        client.channel.send([frame(b"good"), bad, frame(b"lost")])
        await server.until(lambda: bool(server.lost))
        await client.until(lambda: bool(client.lost))
        assert server.frames == [frame(b"good")]
        (_, error) = server.lost[0]
        assert isinstance(error, WireError)
        assert not isinstance(client.lost[0][1], WireError)

    run(scenario)


def test_an_owner_may_answer_at_once(run: Run) -> None:
    async def scenario(client: Owner, server: Owner) -> None:
        receive = server.frame_received

        def echo(channel: Channel, frame: memoryview) -> None:
            receive(channel, frame)
            channel.send([frame])

        server.frame_received = echo  # type: ignore[method-assign]  # this one echoes
        for number in range(50):
            client.channel.send([frame(str(number).encode())])
        await client.until(lambda: len(client.views) == 50)
        assert client.frames == server.frames

    run(scenario)
