"""The main module of the supervisor's processes: API workers, runners, replicas.

`python -m headway.server.process NAME CONTROL_FD SUPERVISOR_PID`: the first message on
the control socket is a ProcessSpec, whose role decides what assembly builds.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Protocol

import uvloop

from headway.api.admission import DeadlineWatch
from headway.api.worker import ApiWorker
from headway.core.clock import MonotonicClock
from headway.core.gc_tuning import tune_gc
from headway.core.log import configure
from headway.core.parent_death import die_with_parent
from headway.core.run_dir import RunDir
from headway.errors import HeadwayError
from headway.ipc.unix import UnixLink
from headway.metrics import MetricsRegistry
from headway.server.assembly import (
    build_api_worker,
    build_clients,
    build_replica,
    build_runner_core,
    build_runner_server,
)
from headway.server.control import ControlChannel, Described, Failed, ProcessSpec, Ready
from headway.server.edge_assembly import build_balancer
from headway.server.placement import describe
from headway.server.telemetry_assembly import build_tracing
from headway.service.loader import load_service
from headway.service.runner import Runner
from headway.service.service import ServiceDefinition

__all__ = ["build", "main"]

_log = logging.getLogger(__name__)
_API_NICENESS = 2
_SUPERVISOR_GRACE_S = 0.2


class _Serving(Protocol):
    """Any of the things that a process can be."""

    async def start(self) -> None: ...

    async def drain(self, timeout_s: float) -> None: ...

    async def aclose(self) -> None: ...


def main() -> None:
    """Run one process until its supervisor ends it."""
    name, control_fd, supervisor = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # Ctrl-C reaches the whole process group; the supervisor decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(supervisor)
    sys.exit(uvloop.run(_run(name, socket.socket(fileno=control_fd))))


async def _run(name: str, connection: socket.socket) -> int:
    control = await ControlChannel.open(connection)
    spec = await control.receive()
    if not isinstance(spec, ProcessSpec):
        return 1
    logging_config = spec.config.config.logging
    configure(name, logging_config.level, logging_config.format)
    try:
        service = load_service(spec.service, Path(spec.working_dir))
        if spec.role == "describe":
            await control.send(Described(describe(service)))
            return 0
        if spec.role == "api":
            # Where they compete for a core, the model goes first: it sets the
            # throughput, and what it does not get is lost (benchmarks/overload.py,
            # four times the capacity).
            os.nice(_API_NICENESS)
        serving = build(spec, service)
        await serving.start()
        tune_gc()
    except HeadwayError as error:
        _log.debug("cannot start", exc_info=True)
        await control.send(Failed(error.message))
        return 1
    told = asyncio.get_running_loop().create_task(_until_told(control))
    if isinstance(serving, ApiWorker):
        await _until_ready(serving, told)
    if not told.done():
        await control.send(Ready())
    await told
    await serving.drain(spec.config.config.api_server.shutdown_timeout_s)
    await serving.aclose()
    await control.aclose()
    return 0


async def _until_ready(worker: ApiWorker, told: asyncio.Task[None]) -> None:
    """Return when the runners are ready, or when the worker is to end first."""
    ready = asyncio.get_running_loop().create_task(worker.wait_ready())
    await asyncio.wait((ready, told), return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    await asyncio.wait((ready,))


async def _until_told(control: ControlChannel) -> None:
    """Return when the supervisor says so or is gone, or on SIGTERM."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)

    async def listen() -> None:
        await control.receive()
        told.set()

    listening = loop.create_task(listen())
    await told.wait()
    # SIGTERM for a whole process group reaches the supervisor too, whose message comes
    # once the kernel refuses new connections: none may be queued after the drain.
    await asyncio.wait([listening], timeout=_SUPERVISOR_GRACE_S)
    listening.cancel()
    await asyncio.wait([listening])


def build(spec: ProcessSpec, service: ServiceDefinition) -> _Serving:
    """Return an API worker, a runner or a replica, not started yet.

    Raises:
        StartError: If a model cannot be loaded or warmed, or a setting not be kept.
    """
    loop = asyncio.get_running_loop()
    clock = MonotonicClock()
    run_dir = RunDir(path=Path(spec.run_dir))
    sockets = [socket.socket(fileno=fd) for fd in spec.sockets]
    registry = MetricsRegistry(
        run_dir.metrics_file(spec.name),
        duration_bounds_s=spec.config.config.api_server.metrics.duration_buckets_s,
    )
    registry.start()
    if spec.role == "replica":
        return build_replica(
            runner=_runner(service, spec.runner),
            config=spec.config.runner(spec.runner),
            listening=sockets[0],
            registry=registry,
            clock=clock,
        )
    tracing = build_tracing(
        config=spec.config.config, service=service.name, process=spec.name, clock=clock
    )
    if spec.role == "runner":
        index = [runner.name for runner in service.runners].index(spec.runner)
        runner = _runner(service, spec.runner)
        core = build_runner_core(
            runner=runner,
            config=spec.config.runner(spec.runner),
            registry=registry,
            clock=clock,
            loop=loop,
            tracing=tracing,
        )
        return build_runner_server(
            core=core,
            runner=runner,
            config=spec.config.runner(spec.runner),
            listening=sockets[0],
            replica_paths=run_dir.replica_sockets(index, spec.replicas),
            registry=registry,
            clock=clock,
        )
    watch = DeadlineWatch(clock=clock, loop=loop)
    clients = build_clients(
        service=service, config=spec.config, registry=registry, watch=watch
    )
    return build_api_worker(
        service=service,
        config=spec.config,
        workers=spec.workers,
        listener=sockets[0],
        balancer=build_balancer(
            settings=spec.config.config.api_server,
            index=spec.index,
            workers=spec.workers,
            registry=registry,
            run_dir=run_dir,
        ),
        clients=clients,
        links=[
            UnixLink(
                path=run_dir.runner_socket(index),
                owner=client,
                memory_bytes=settings.shared_memory_bytes,
                share_from=settings.shared_memory_from_bytes,
            )
            for index, client in enumerate(clients)
            for settings in [spec.config.runner(client.name)]
        ],
        registry=registry,
        run_dir=run_dir,
        watch=watch,
        clock=clock,
        loop=loop,
        tracing=tracing,
    )


def _runner(service: ServiceDefinition, name: str) -> Runner:
    return next(runner for runner in service.runners if runner.name == name)


if __name__ == "__main__":
    main()
