"""From a runner's handle to the model and back, with thousands of calls at once."""

import asyncio
import contextlib
import gc
import random
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from headway.api.admission import DeadlineWatch
from headway.api.request_options import REQUEST_OPTIONS, RequestOptions
from headway.api.runner_client import RunnerClient
from headway.config.schema import BatchingConfig
from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.errors import (
    DeadlineExceededError,
    ModelCallError,
    OutputError,
    RunnerLostError,
    UnavailableError,
    WireError,
)
from headway.ipc.channel import LocalChannel
from headway.ipc.frames import encode_record_frame
from headway.ipc.records import CancelFrame, ReadyFrame
from headway.ipc.shared_memory import SharedMemory
from headway.ipc.unix import UnixLink
from headway.metrics import MetricsRegistry
from headway.metrics.families import REFUSED, WASTED_ROWS
from headway.metrics.meters import RunnerMeters
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import InlineExecutor, ThreadExecutor
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica, ReplicaLink
from headway.runner.server import ReplicaServer, RunnerServer
from headway.scheduling.scheduler import Scheduler
from headway.server.sockets import bind_unix
from tests.ipc.round_trip import isolate

CLOCK = MonotonicClock()
READY = ReadyFrame(runner="model", pid=1)
SPECS = {
    "predict": MethodSpec("predict", batchable=True),
    "name": MethodSpec("name", batchable=True),
    "whole": MethodSpec("whole"),
    "unreadable": MethodSpec("unreadable", batchable=True),
    "fail": MethodSpec("fail"),
}


class ExitsWhenRead:
    """Pickles, and ends the process that reads it if that is not caught."""

    def __reduce__(self) -> Any:
        return sys.exit, (1,)


class Panic(BaseException):
    """What libraries in Rust raise: no Exception."""


RAISED = (
    ValueError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    Panic,
)


class Model:
    """Marks rows, refuses negative ones, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, x: Any) -> Any:
        assert self.gate.wait(10)
        self.batches.append(len(x))
        if (x < 0).any():
            raise ValueError("negative")
        return x * 2 + 1

    def name(self, rows: list[str], *, suffix: str) -> list[str]:
        return [row + suffix for row in rows]

    def whole(self, *args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    def unreadable(self, rows: list[str]) -> Any:
        return [ExitsWhenRead()] * len(rows)

    def fail(self, index: int) -> Any:
        raise RAISED[index]


def build(max_rows: int = 64) -> tuple[RunnerReceiver, Dispatcher, Scheduler]:
    registry = MetricsRegistry(None)
    registry.start()
    batching = BatchingConfig(max_batch_size=max_rows)
    scheduler = Scheduler(config=batching, replicas=0)
    dispatcher = Dispatcher(
        name="model",
        scheduler=scheduler,
        meters=RunnerMeters(registry=registry, runner="model", methods=list(SPECS)),
        clock=CLOCK,
        loop=asyncio.get_running_loop(),
    )
    receiver = RunnerReceiver(
        ready=READY,
        methods={
            name: replace(batching, enabled=spec.batchable)
            for name, spec in SPECS.items()
        },
        dispatcher=dispatcher,
    )
    return receiver, dispatcher, scheduler


def make_client(timeout_s: float = 30.0) -> RunnerClient:
    registry = MetricsRegistry(None)
    registry.start()
    return RunnerClient(
        name="model",
        timeout_s=timeout_s,
        max_bytes=2**30,
        watch=DeadlineWatch(clock=CLOCK, loop=asyncio.get_running_loop()),
        wasted_rows=registry.counter(WASTED_ROWS, ("model",)),
        refused=lambda reason: registry.counter(REFUSED, (reason,)),
    )


@contextlib.asynccontextmanager
async def embedded(
    model: Model, max_rows: int = 64
) -> AsyncIterator[tuple[RunnerClient, Dispatcher]]:
    """Yield a client of a runner in this process, its model in a thread."""
    loop = asyncio.get_running_loop()
    receiver, dispatcher, _ = build(max_rows)
    executor = ThreadExecutor(isolation=isolate(model, SPECS), loop=loop, name="model")
    dispatcher.add_replica(executor)
    client = make_client()
    channel, _ = LocalChannel.connect(client, receiver, loop)
    await client.wait_ready()
    try:
        yield client, dispatcher
    finally:
        model.gate.set()
        channel.close()
        await executor.aclose()
        dispatcher.close()


@contextlib.asynccontextmanager
async def in_processes(
    models: list[Model], folder: Path, memory_bytes: int = 0
) -> AsyncIterator[tuple[RunnerClient, RunnerServer, list[ReplicaServer]]]:
    """Yield a client of a runner with its replicas, over sockets as in production.

    With memory, all that is sent goes through it.
    """
    receiver, dispatcher, _ = build()
    replicas, links = [], []
    for index, model in enumerate(models):
        path = str(folder / f"r0-{index}")
        replica = Replica(ready=READY, isolation=isolate(model, SPECS))
        replicas.append(ReplicaServer(listening=bind_unix(path), owner=replica))
        await replicas[-1].start()
        links.append(
            UnixLink(
                path=path,
                owner=ReplicaLink(dispatcher=dispatcher, clock=CLOCK),
                memory_bytes=memory_bytes,
                share_from=1,
            )
        )
    path = str(folder / "r0")
    if not links:
        dispatcher.add_replica(InlineExecutor(isolation=isolate(Model(), SPECS)))
    server = RunnerServer(
        listening=bind_unix(path),
        owner=receiver,
        dispatcher=dispatcher,
        links=links,
    )
    await server.start()
    client = make_client()
    link = UnixLink(path=path, owner=client, memory_bytes=memory_bytes, share_from=1)
    link.start()
    await client.wait_ready()
    try:
        yield client, server, replicas
    finally:
        await link.aclose()
        await server.drain(5.0)
        await server.aclose()
        for one in replicas:
            await one.drain(5.0)
            await one.aclose()


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
