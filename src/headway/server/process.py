"""The main module of the supervisor's processes.

`python -m headway.server.process NAME CONTROL_FD SUPERVISOR_PID`: the message on the
control socket is a ProcessSpec with the role of the process:

- describe: imports the service, describes it and ends.
- api: an API worker; serves HTTP and runs the API functions.
- runner: one runner's queue and scheduler and, if it has one replica, its model.
- replica: one of several replicas of a runner; has a copy of its model.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop

from headway.api.worker import ApiWorker
from headway.core.gc_tuning import tune_gc
from headway.core.log import configure
from headway.core.parent_death import die_with_parent
from headway.core.run_dir import RunDir
from headway.errors import HeadwayError
from headway.metrics import MetricsRegistry
from headway.models.store import VERSION_LOCK_VARIABLE
from headway.runner.server import ReplicaServer
from headway.server.assembly import Assembly
from headway.server.control import ControlChannel, Failed, ProcessSpec, Ready
from headway.server.placement import describe
from headway.service.loader import load_service
from headway.service.service import ServiceDefinition

_log = logging.getLogger(__name__)
_API_NICENESS = 2
_SUPERVISOR_GRACE_S = 0.2


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
    settings = spec.config.config
    configure(name, settings.logging.level, settings.logging.format)
    os.environ[VERSION_LOCK_VARIABLE] = str(
        RunDir(path=Path(spec.run_dir)).version_lock
    )
    try:
        service = load_service(spec.service, Path(spec.working_dir))
        if spec.role == "describe":
            await control.send(describe(service))
            return 0
        if spec.role == "api":
            # Where they compete for a core, the model goes first: it sets the
            # throughput, and it cannot catch up (benchmarks/overload.py, four times
            # the capacity).
            os.nice(_API_NICENESS)
        serving = build(spec, service)
        await serving.start()
        tune_gc()
    except HeadwayError as error:
        _log.debug("cannot start", exc_info=True)
        await control.send(Failed(error.message))
        return 1
    stopping = asyncio.get_running_loop().create_task(_until_stopped(control))
    if isinstance(serving, ApiWorker):
        # Ready when the runners are, unless the worker must end before.
        ready = asyncio.get_running_loop().create_task(serving.wait_ready())
        await asyncio.wait((ready, stopping), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        await asyncio.wait((ready,))
    if not stopping.done():
        await control.send(Ready())
    await stopping
    await serving.drain(settings.api_server.shutdown_timeout_s)
    await serving.aclose()
    await control.aclose()
    return 0


async def _until_stopped(control: ControlChannel) -> None:
    """Return at the end of the control channel, or on SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    end = loop.create_task(control.receive())
    end.add_done_callback(lambda _: stop.set())
    await stop.wait()
    # SIGTERM for a whole process group reaches the supervisor too, which ends the
    # channel once the kernel refuses new connections: none may be queued after the
    # drain.
    await asyncio.wait([end], timeout=_SUPERVISOR_GRACE_S)
    end.cancel()
    await asyncio.wait([end])


def build(spec: ProcessSpec, service: ServiceDefinition) -> ApiWorker | ReplicaServer:
    """Return an API worker, a runner or a replica, not started yet.

    Raises:
        StartError: If a model cannot be loaded or warmed, or a setting not be kept.
    """
    run_dir = RunDir(path=Path(spec.run_dir))
    [listening] = [socket.socket(fileno=fd) for fd in spec.sockets]
    registry = MetricsRegistry(
        run_dir.metrics_file(spec.name),
        duration_bounds_s=spec.config.config.api_server.metrics.duration_buckets_s,
    )
    registry.start()
    assembly = Assembly(
        process=spec.name,
        service=service,
        config=spec.config,
        registry=registry,
        run_dir=run_dir,
    )
    if spec.role == "api":
        return assembly.api_worker(
            listener=listening, index=spec.index, workers=spec.workers
        )
    index = [runner.name for runner in service.runners].index(spec.runner)
    runner = service.runners[index]
    if spec.role == "replica":
        return assembly.replica(runner, listening=listening)
    paths = run_dir.replica_sockets(index, spec.replicas)
    return assembly.runner(runner, listening=listening, replica_paths=paths)


if __name__ == "__main__":
    main()
