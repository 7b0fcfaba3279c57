"""From a runner's handle to the model and back, with thousands of calls at once."""

import asyncio
import contextlib
import gc
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.api.request_options import REQUEST_OPTIONS, RequestOptions
from headway.api.runner_client import RunnerClient
from headway.errors import (
    DeadlineExceededError,
    ModelCallError,
    OutputError,
    RunnerLostError,
    UnavailableError,
    WireError,
)
from headway.ipc.frames import encode_record_frame
from headway.ipc.records import CancelFrame
from headway.ipc.shared_memory import SharedMemory
from headway.runner.dispatcher import Dispatcher
from headway.runner.replica import Replica, ReplicaLink
from headway.runner.server import RunnerServer
from tests.ipc.round_trip import isolate
from tests.runner.full_path import (
    CLOCK,
    RAISED,
    READY,
    SPECS,
    ExitsWhenRead,
    Model,
    build,
    embedded,
    in_processes,
)


async def check_many(client: RunnerClient, count: int, seed: int) -> None:
    """Make calls of varying rows at varying times; each checks its own answer."""
    random_ = random.Random(seed)

    async def check(number: int) -> None:
        await asyncio.sleep(random_.choice([0, 0, 0, 0.001, 0.005]))
        rows = random_.choice([1, 1, 1, 2, 5, 30, 150])
        kind = random_.random()
        x = np.arange(rows, dtype="f8") + 1000 * number
        if kind < 0.7:
            answer = await client.call(SPECS["predict"], (x,), {})
            assert answer.tolist() == (x * 2 + 1).tolist()
        elif kind < 0.8:
            x[random_.randrange(rows)] = -1
            with pytest.raises(ModelCallError, match="error id"):
                await client.call(SPECS["predict"], (x,), {})
        elif kind < 0.9:
            names = [f"{number}/{row}" for row in range(rows)]
            suffix = random_.choice("ab")
            answer = await client.call(SPECS["name"], (names,), {"suffix": suffix})
            assert answer == [name + suffix for name in names]
        elif kind < 0.95:
            answer = await client.call(SPECS["whole"], (number,), {"k": "v"})
            assert answer == [(number,), {"k": "v"}]
        else:
            with contextlib.suppress(TimeoutError):  # its client hangs up
                async with asyncio.timeout(random_.choice([0, 0.0005])):
                    await client.call(SPECS["predict"], (x,), {})

    await asyncio.gather(*(check(number) for number in range(count)))


async def test_thousands_of_calls_in_one_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL")
    model = Model()
    async with embedded(model) as (client, dispatcher):
        await check_many(client, 3000, seed=1)
        await client.call(SPECS["predict"], (np.ones(1),), {})
        async with asyncio.timeout(5):
            while dispatcher._busy:  # noqa: ASYNC110 - the cancelled ones' end
                await asyncio.sleep(0.001)
        assert client._sent == {}
        assert client._bytes == 0
    assert max(model.batches) <= 64
    assert len(model.batches) < 3000, "calls shared batches"


@pytest.mark.parametrize("replicas", [0, 2])
async def test_thousands_of_calls_over_sockets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replicas: int
) -> None:
    caplog.set_level("CRITICAL")
    models = [Model() for _ in range(replicas)]
    async with in_processes(models, tmp_path) as (client, _, _):
        await check_many(client, 2000, seed=2)
    assert all(model.batches for model in models), "each replica had its share"


def _memories(client: RunnerClient, server: RunnerServer) -> list[SharedMemory]:
    """Return both ends of the memory to the client, and the runner's to replicas."""
    links: list[Any] = list(server._links)
    channels: list[Any] = [
        client._channel,
        *server._listener.channels,
        *(link._channel for link in links),
    ]
    return [channel._memory for channel in channels]


@pytest.mark.parametrize("memory_bytes", [20_000, 2**22], ids=["often full", "ample"])
@pytest.mark.parametrize("replicas", [0, 2])
async def test_thousands_of_calls_through_shared_memory(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    replicas: int,
    memory_bytes: int,
) -> None:
    caplog.set_level("CRITICAL")
    models = [Model() for _ in range(replicas)]
    gc.disable()  # what is answered must be let go of without it
    try:
        async with in_processes(models, tmp_path, memory_bytes) as (client, server, _):
            await check_many(client, 2000, seed=3)
            await client.call(SPECS["predict"], (np.ones(1),), {})
            memories = _memories(client, server)
            assert len(memories) == 2 + replicas
            async with asyncio.timeout(5):
                while client._sent:  # noqa: ASYNC110 - the cancelled ones' end
                    await asyncio.sleep(0.001)
            assert [memory._loans for memory in memories] == [{}] * len(memories)
    finally:
        gc.enable()


async def _rows_wait(dispatcher: Dispatcher, rows: int) -> None:
    """Return in the turn of the loop in which so many rows wait for the model."""
    async with asyncio.timeout(5):
        while dispatcher._scheduler.queue.rows != rows:  # noqa: ASYNC110 - turns
            await asyncio.sleep(0)


async def check_raised(client: RunnerClient) -> None:
    """Whatever the model raises is the error of that call only."""
    for index in range(len(RAISED)):
        with pytest.raises(ModelCallError, match="error id"):
            await client.call(SPECS["fail"], (index,), {})
        answer = await client.call(SPECS["predict"], (np.ones(1),), {})
        assert answer.tolist() == [3]


async def test_whatever_a_model_raises_ends_no_thread() -> None:
    async with embedded(Model()) as (client, _):
        await check_raised(client)


@pytest.mark.parametrize("replicas", [0, 1])
async def test_whatever_a_model_raises_ends_no_process(
    tmp_path: Path, replicas: int
) -> None:
    models = [Model() for _ in range(replicas)]
    async with in_processes(models, tmp_path) as (client, _, _):
        await check_raised(client)


@pytest.mark.parametrize("replicas", [0, 1])
async def test_whatever_reading_a_value_raises_is_the_error_of_its_call(
    tmp_path: Path, replicas: int
) -> None:
    models = [Model() for _ in range(replicas)]
    async with in_processes(models, tmp_path) as (client, _, _):
        # 100 rows are split, in which the runner reads them.
        for rows in (1, 100):
            names = [ExitsWhenRead()] * rows
            with pytest.raises(ModelCallError):
                await client.call(SPECS["name"], (names,), {"suffix": "x"})
        for rows in (1, 100):  # read by the API worker, and by the runner to join parts
            with pytest.raises(OutputError, match="cannot be read"):
                await client.call(SPECS["unreadable"], (["a"] * rows,), {})
        answer = await client.call(SPECS["name"], (["a"],), {"suffix": "x"})
        assert answer == ["ax"]


async def test_a_cancelled_call_is_not_computed() -> None:
    model = Model()
    async with embedded(model) as (client, dispatcher):
        model.gate.clear()
        first = asyncio.ensure_future(client.call(SPECS["predict"], (np.zeros(1),), {}))
        async with asyncio.timeout(5):
            while not dispatcher._busy:  # noqa: ASYNC110 - until it has the first
                await asyncio.sleep(0)
        calls = [
            asyncio.ensure_future(client.call(SPECS["predict"], (np.ones(n),), {}))
            for n in (1, 2, 3)
        ]
        await _rows_wait(dispatcher, 6)
        calls[1].cancel()
        await _rows_wait(dispatcher, 4)
        model.gate.set()
        await asyncio.gather(first, calls[0], calls[2])
        assert model.batches == [1, 4]


async def test_a_deadline_ends_the_wait_of_a_call_in_flight() -> None:
    model = Model()
    async with embedded(model) as (client, _):
        model.gate.clear()
        REQUEST_OPTIONS.set(RequestOptions(CLOCK.now() + 0.02))
        with pytest.raises(DeadlineExceededError):
            await client.call(SPECS["predict"], (np.zeros(1),), {})
        with pytest.raises(DeadlineExceededError, match="before runner 'model'"):
            await client.call(SPECS["predict"], (np.zeros(1),), {})


async def test_a_lost_replica_gives_its_batch_to_another(
    tmp_path: Path,
) -> None:
    models = [Model(), Model()]
    async with in_processes(models, tmp_path) as (client, server, _):
        # Its process dies with a batch at hand: the connection ends.
        unix_link: Any = server._links[1]
        link: Any = unix_link._owner
        sent: list[Any] = []
        channel = link._channel

        def die(frame: Any) -> None:
            sent.append(frame)
            channel.close()

        channel.send = die
        answer = await client.call(SPECS["predict"], (np.ones(3),), {})
        assert sent, "the doomed one had it first"
        assert answer.tolist() == [3, 3, 3]
        assert models[0].batches == [3]
        # The link connects anew, and the replica serves again.
        await server._dispatcher.wait_replicas(2)


async def test_a_lost_runner_fails_its_calls_at_once(tmp_path: Path) -> None:
    model = Model()
    async with in_processes([model], tmp_path) as (client, server, _):
        (channel,) = server._listener.channels
        call = asyncio.ensure_future(client.call(SPECS["predict"], (np.ones(1),), {}))
        await asyncio.sleep(0)
        channel.close()
        with pytest.raises(RunnerLostError):
            await call
        assert not client.is_ready
        with pytest.raises(UnavailableError):
            await client.call(SPECS["predict"], (np.ones(1),), {})
        await client.wait_ready()  # it connects anew by itself
        answer = await client.call(SPECS["predict"], (np.ones(1),), {})
        assert answer.tolist() == [3]


async def test_drain_ends_although_clients_stay_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_processes([Model()], tmp_path) as (_, server, replicas):
        await server.drain(0.01)
        await replicas[0].drain(0.01)
    assert "still connected" in caplog.text


class NoChannel:
    """A channel that goes nowhere."""

    def send(self, buffers: Any) -> None: ...

    def close(self) -> None: ...


async def test_frames_of_the_wrong_kind_are_refused() -> None:
    _, dispatcher, _ = build()
    cancel = memoryview(encode_record_frame(CancelFrame(1, (0,))))
    link = ReplicaLink(dispatcher=dispatcher, clock=CLOCK)
    with pytest.raises(WireError, match="a replica sent a frame of kind 2"):
        link.frame_received(NoChannel(), cancel)
    replica = Replica(ready=READY, isolation=isolate(Model(), SPECS))
    with pytest.raises(WireError, match="a runner sent a frame of kind 2"):
        replica.frame_received(NoChannel(), cancel)
    # One that was never ready may go without anybody noticing.
    link.channel_opened(NoChannel())
    link.channel_lost(NoChannel(), None)
