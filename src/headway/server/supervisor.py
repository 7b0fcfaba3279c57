"""`headway serve --production`: starts, restarts and drains the processes of a server.

cli/serve runs it. It never imports the user's code: a short-lived process describes the
service first.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from headway.config.resolution import ResolvedConfig
from headway.config.schema import RunnerConfig
from headway.core.clock import MonotonicClock
from headway.core.run_dir import RunDir
from headway.errors import StartError
from headway.metrics import MetricsRegistry, zero_gauges
from headway.metrics.families import PROCESS_RESTARTS
from headway.observability.live.recorder import Recorder
from headway.server.child import Child
from headway.server.control import ProcessSpec
from headway.server.placement import (
    ReplicaPlan,
    RunnerPlan,
    ServicePlan,
    available_cores,
    plan_replicas,
    warn_of_ignored,
)
from headway.server.sockets import (
    allow_connections,
    bind_http,
    bind_unix,
    refuse_handshakes,
    url_of,
)

_log = logging.getLogger(__name__)
_RUNNER_STOP_S = 5.0


class Supervisor:
    """A server of several processes.

    Args:
        service: `module:svc`.
        working_dir: The folder from which the service is imported.
        resolve: Returns the settings, once the service's runners are known.
        announce: Called with the line that has the server's address.
    """

    def __init__(
        self,
        *,
        service: str,
        working_dir: Path,
        resolve: Callable[[ServicePlan], ResolvedConfig],
        announce: Callable[[str], None],
    ) -> None:
        self._run_dir = run_dir = RunDir.create()
        self._spec = ProcessSpec(
            role="describe",
            name="describe",
            service=service,
            working_dir=str(working_dir),
            run_dir=str(run_dir.path),
        )
        self._resolve = resolve
        self._clock = MonotonicClock()
        self._announce = announce
        self._registry = MetricsRegistry(run_dir.metrics_file("supervisor"))
        self._recorder: Recorder | None = None
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self._api_workers: list[Child] = []
        self._runners: list[Child] = []

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Raises:
            StartError: If the server cannot start.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        allow_connections()
        self._registry.start()
        starting = loop.create_task(self._start())
        waiting = loop.create_task(stop.wait())
        try:
            await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await waiting
                _log.info("draining: finishing the accepted requests")
        finally:
            for task in (starting, waiting):
                task.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            await self._stop()

    async def _start(self) -> None:
        plan = await self._describe()
        config = self._resolve(plan)
        self._spec = msgspec.structs.replace(self._spec, config=config)
        settings = config.config.api_server
        workers = settings.workers or available_cores()
        self._listener = bind_http(settings.host, settings.port)
        self._sockets.append(self._listener)
        for index, runner in enumerate(plan.runners):
            self._add_runner(index, runner, config.runner(runner.name))
        if settings.live:
            self._recorder = Recorder(
                run_dir=self._run_dir,
                runners=[runner.name for runner in plan.runners],
                clock=self._clock,
            )
            self._recorder.start()
        timeouts_s = [config.runner(one.name).startup_timeout_s for one in plan.runners]
        for index in range(workers):
            child = self._child(
                role="api",
                name=f"api-{index}",
                sockets=(self._listener.fileno(),),
                workers=workers,
                index=index,
                environment=ReplicaPlan(1).environment(),
                # An API worker is ready when the slowest runner is.
                startup_timeout_s=max(settings.startup_timeout_s, *timeouts_s, 0.0),
                restart=settings.restart,
            )
            self._api_workers.append(child)
        children = [*self._runners, *self._api_workers]
        try:
            async with asyncio.TaskGroup() as group:
                for child in children:
                    group.create_task(child.start())
        except BaseExceptionGroup as errors:
            # The first failure ends the start; `run` stops the other processes.
            raise errors.exceptions[0] from None
        for child in children:
            child.keep()
        url = url_of(self._listener, settings)
        api_workers = f"{workers} API worker{'' if workers == 1 else 's'}"
        count = len(self._runners)
        runners = f"{count} runner process{'' if count == 1 else 'es'}"
        self._announce(f"{plan.name} is ready at {url} ({api_workers}, {runners})")

    async def _describe(self) -> ServicePlan:
        child = self._child()
        try:
            message = await child.start()
        finally:
            await child.stop(_RUNNER_STOP_S)
        if not isinstance(message, ServicePlan):
            raise StartError(f"{self._spec.service}: the service cannot be described")
        return message

    def _add_runner(
        self, index: int, runner: RunnerPlan, settings: RunnerConfig
    ) -> None:
        """Add the processes of a runner: its own and, if there are several, replicas'.

        With several replicas, the runner's own process computes nothing.
        """
        warn_of_ignored(runner, settings)
        replicas = plan_replicas(runner, settings, available_cores())
        own = replicas[0] if len(replicas) == 1 else ReplicaPlan(1)
        name, path = f"runner-{runner.name}", self._run_dir.runner_socket(index)
        processes = [("runner", name, path, own)]
        paths = self._run_dir.replica_sockets(index, len(replicas))
        processes += [
            ("replica", f"replica-{runner.name}-{number}", path, replicas[number])
            for number, path in enumerate(paths)
        ]
        for role, name, path, plan in processes:
            listening = bind_unix(path)
            self._sockets.append(listening)
            child = self._child(
                role=role,
                name=name,
                sockets=(listening.fileno(),),
                runner=runner.name,
                replicas=len(replicas),
                environment=plan.environment(),
                startup_timeout_s=settings.startup_timeout_s,
                restart=settings.restart,
            )
            self._runners.append(child)

    def _child(self, **fields: Any) -> Child:
        """Return a process whose spec has these fields, and the common ones."""
        return Child(
            spec=msgspec.structs.replace(self._spec, **fields),
            on_restart=self._count_restart,
            clock=self._clock,
        )

    def _count_restart(self, child: Child) -> None:
        self._registry.counter(PROCESS_RESTARTS, (child.name,)).add()
        zero_gauges(self._run_dir.metrics_file(child.name))

    async def _stop(self) -> None:
        """End all processes: first those that accept requests, then the runners."""
        # A worker gives up by itself at its own time-out, a little earlier.
        settings = self._spec.config.config.api_server
        timeout_s = settings.shutdown_timeout_s + _RUNNER_STOP_S
        for child in self._runners:
            # A signal to the whole process group reaches them as well.
            child.let_end()
        if self._listener is not None:
            refuse_handshakes(self._listener)
        await asyncio.gather(*(child.stop(timeout_s) for child in self._api_workers))
        await asyncio.gather(*(child.stop(_RUNNER_STOP_S) for child in self._runners))
        for listening in self._sockets:
            listening.close()
        if self._recorder is not None:
            await self._recorder.aclose()
        self._registry.close()
        self._run_dir.remove()
