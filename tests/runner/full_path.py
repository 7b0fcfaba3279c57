"""A runner client connected to a runner and its model, in one process or in several."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from headway.api.admission import DeadlineWatch
from headway.api.runner_client import RunnerClient
from headway.config.schema import BatchingConfig
from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.ipc.channel import LocalChannel
from headway.ipc.records import ReadyFrame
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
