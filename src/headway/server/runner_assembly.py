"""The place where the parts of a runner's process are wired together.

assembly adds those of an API worker; process calls it.
"""

import asyncio
import os
import socket
from collections.abc import Sequence

import msgspec

from headway.config.resolution import ResolvedConfig
from headway.config.schema import BatchingConfig
from headway.core.clock import MonotonicClock
from headway.core.run_dir import RunDir
from headway.errors import HeadwayError, RunnerStartError
from headway.ipc.channel import ChannelOwner
from headway.ipc.records import ReadyFrame
from headway.ipc.unix import UnixLink
from headway.metrics import MetricsRegistry
from headway.metrics.meters import RunnerMeters
from headway.observability.tracing import Tracing
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import FailureIsolation, InlineExecutor
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica, ReplicaLink
from headway.runner.server import ReplicaServer, RunnerServer
from headway.runner.warmup import warm_up
from headway.scheduling.scheduler import Scheduler
from headway.service.runnable import Runnable
from headway.service.runner import Runner
from headway.service.service import ServiceDefinition


def load_model(runner: Runner) -> Runnable:
    """Construct a runner's model.

    Raises:
        RunnerStartError: If that raises anything.
    """
    try:
        return runner.load()
    except HeadwayError as error:
        raise RunnerStartError(f"runner {runner.name!r}: {error.message}") from error
    except Exception as error:
        # A user's model may raise anything.
        raise RunnerStartError(
            f"runner {runner.name!r} cannot load its model: {type(error).__name__}: "
            f"{error}"
        ) from error


class RunnerAssembly:
    """Builds the parts of one process, which share these objects.

    Args:
        process: The name of the process.
        service: What the server serves.
        config: Its settings.
        registry: Counts; it has been started.
        run_dir: Has the files and sockets of the server's processes.
    """

    def __init__(
        self,
        *,
        process: str,
        service: ServiceDefinition,
        config: ResolvedConfig,
        registry: MetricsRegistry,
        run_dir: RunDir,
    ) -> None:
        self._service = service
        self._config = config
        self._registry = registry
        self._run_dir = run_dir
        self._clock = MonotonicClock()
        self._loop = asyncio.get_running_loop()
        self.tracing = None
        settings = config.config.tracing
        off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        if settings.enabled and not off:
            self.tracing = Tracing(
                config=settings,
                service=service.name,
                process=process,
                clock=self._clock,
            )

    def runner(
        self, runner: Runner, *, listening: socket.socket, replica_paths: Sequence[str]
    ) -> RunnerServer:
        """Return a runner with its own model, or with links to replicas.

        Raises:
            RunnerStartError: If the model cannot be loaded or warmed.
        """
        dispatcher, receiver = self.dispatcher(runner)
        links = []
        for number, path in enumerate(replica_paths):
            owner = ReplicaLink(dispatcher=dispatcher, clock=self._clock, number=number)
            links.append(self._unix_link(path, owner, runner.name))
        if not links:
            isolation, costs = self.load(runner)
            dispatcher.seed(costs)
            dispatcher.add_replica(InlineExecutor(isolation=isolation))
        return RunnerServer(
            listening=listening,
            owner=receiver,
            dispatcher=dispatcher,
            links=links,
            tracing=self.tracing,
        )

    def replica(self, runner: Runner, *, listening: socket.socket) -> ReplicaServer:
        """Return a replica, which computes for a runner in another process.

        Raises:
            RunnerStartError: If the model cannot be loaded or warmed.
        """
        isolation, costs = self.load(runner)
        ready = ReadyFrame(runner=runner.name, pid=os.getpid(), costs=costs)
        return ReplicaServer(
            listening=listening, owner=Replica(ready=ready, isolation=isolation)
        )

    def dispatcher(self, runner: Runner) -> tuple[Dispatcher, RunnerReceiver]:
        """Return a runner's queue with its scheduler, and its end of connections."""
        methods = self._batching(runner)
        scheduler = Scheduler(
            config=self._config.runner(runner.name).batching, replicas=0
        )
        costs = {
            name: (scheduler.cost(name), batching.max_batch_size)
            for name, batching in methods.items()
            if batching.enabled
        }
        dispatcher = Dispatcher(
            name=runner.name,
            scheduler=scheduler,
            meters=RunnerMeters(
                registry=self._registry,
                runner=runner.name,
                methods=list(methods),
                costs=costs,
            ),
            clock=self._clock,
            loop=self._loop,
            tracing=self.tracing,
        )
        receiver = RunnerReceiver(
            ready=ReadyFrame(runner=runner.name, pid=os.getpid()),
            methods=methods,
            dispatcher=dispatcher,
        )
        return dispatcher, receiver

    def load(
        self, runner: Runner
    ) -> tuple[FailureIsolation, dict[str, list[tuple[int, float]]]]:
        """Load a model; return it with the seconds of its warm-up batches.

        Raises:
            RunnerStartError: If the model cannot be loaded or warmed.
        """
        specs = {name: method.spec for name, method in runner.methods.items()}
        runnable = load_model(runner)
        costs = warm_up(
            runner=runner.name,
            runnable=runnable,
            specs=specs,
            methods=self._batching(runner),
            clock=self._clock,
        )
        isolation = FailureIsolation(
            runner=runner.name,
            runnable=runnable,
            specs=specs,
            registry=self._registry,
            clock=self._clock,
        )
        return isolation, costs

    def _batching(self, runner: Runner) -> dict[str, BatchingConfig]:
        """Return the batching of each method: off if it is not batchable."""
        methods = {}
        for name, method in runner.methods.items():
            batching = self._config.runner(runner.name).batching_of(name)
            if not method.spec.batchable:
                batching = msgspec.structs.replace(batching, enabled=False)
            methods[name] = batching
        return methods

    def _unix_link(self, path: str, owner: ChannelOwner, runner: str) -> UnixLink:
        settings = self._config.runner(runner)
        return UnixLink(
            path=path,
            owner=owner,
            memory_bytes=settings.shared_memory_bytes,
            share_from=settings.shared_memory_from_bytes,
        )
