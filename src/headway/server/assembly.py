"""The place where the parts of a process are wired together.

process and embedded call it; docs/design/architecture.md follows a request through the
parts. edge_assembly wires the HTTP server, telemetry_assembly the telemetry.
"""

import asyncio
import math
import os
import platform
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from headway.api.admission import ConcurrencyLimit, DeadlineWatch
from headway.api.application import ApiApplication
from headway.api.endpoint import Endpoint
from headway.api.pages import make_pages
from headway.api.runner_client import RunnerClient
from headway.api.thread_pool import ThreadPool
from headway.api.worker import ApiWorker, Part
from headway.config.resolution import ResolvedConfig
from headway.config.schema import BatchingConfig
from headway.core.clock import Clock
from headway.core.run_dir import RunDir
from headway.core.version import __version__
from headway.errors import HeadwayError, RunnerStartError
from headway.http.balancer import ConnectionBalancer
from headway.ipc.channel import ChannelOwner
from headway.ipc.records import ReadyFrame
from headway.ipc.unix import UnixLink
from headway.metrics import MetricsRegistry
from headway.metrics.families import BUILD_INFO, REFUSED, WASTED_ROWS
from headway.metrics.meters import EndpointMeters, RunnerMeters
from headway.runner.batch_spans import BatchSpans
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import FailureIsolation, InlineExecutor, ThreadExecutor
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica
from headway.runner.replica_link import ReplicaLink
from headway.runner.server import LocalRunner, ReplicaServer, RunnerServer
from headway.runner.warmup import warm_up
from headway.scheduling.scheduler import Scheduler
from headway.server.edge_assembly import build_balancer, build_server
from headway.server.telemetry_assembly import build_telemetry, build_tracing
from headway.service.runnable import Runnable
from headway.service.runner import Runner
from headway.service.service import ServiceDefinition

__all__ = ["Assembly", "load_model"]


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


def _or_infinite(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


class Assembly:
    """Builds the parts of one process, which share these objects.

    Args:
        process: The name of the process.
        service: What the server serves.
        config: Its settings.
        registry: Counts; it has been started.
        run_dir: Has the files and sockets of the server's processes.
        clock: For everything that decides by time.
        loop: Runs all of it.
    """

    def __init__(
        self,
        *,
        process: str,
        service: ServiceDefinition,
        config: ResolvedConfig,
        registry: MetricsRegistry,
        run_dir: RunDir,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._service = service
        self._config = config
        self._registry = registry
        self._run_dir = run_dir
        self._clock = clock
        self._loop = loop
        self._tracing = build_tracing(
            config=config.config, service=service.name, process=process, clock=clock
        )

    # The parts of a runner.

    def runner(
        self, runner: Runner, *, listening: socket.socket, replica_paths: Sequence[str]
    ) -> RunnerServer:
        """Return a runner with its own model, or with links to replicas.

        Raises:
            RunnerStartError: If the model cannot be loaded or warmed.
        """
        dispatcher, receiver = self.dispatcher(runner)
        links, executor = [], None
        for number, path in enumerate(replica_paths):
            owner = ReplicaLink(dispatcher=dispatcher, clock=self._clock, number=number)
            links.append(self._unix_link(path, owner, runner.name))
        if not links:
            isolation, costs = self.load(runner)
            dispatcher.seed(costs)
            executor = InlineExecutor(isolation=isolation)
        return RunnerServer(
            listening=listening,
            receiver=receiver,
            dispatcher=dispatcher,
            links=links,
            executor=executor,
            tracing=self._tracing,
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
        spans = None
        if self._tracing is not None:
            spans = BatchSpans(runner=runner.name, tracing=self._tracing)
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
            spans=spans,
        )
        receiver = RunnerReceiver(
            ready=ReadyFrame(runner=runner.name, pid=os.getpid()),
            methods=methods,
            sink=dispatcher,
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

    # The parts of an API worker.

    def api_worker(
        self, *, listener: socket.socket, index: int, workers: int
    ) -> ApiWorker:
        """Return an API worker that is connected to runners in other processes.

        Raises:
            ConfigError: If a file of TLS cannot be used.
        """
        balancer = build_balancer(
            config=self._config.config.api_server,
            index=index,
            workers=workers,
            registry=self._registry,
            run_dir=self._run_dir,
        )

        def connect(number: int, client: RunnerClient) -> UnixLink:
            path = self._run_dir.runner_socket(number)
            return self._unix_link(path, client, client.name)

        return self._api_worker(connect, listener, balancer, workers)

    def embedded_api_worker(self, listener: socket.socket | None) -> ApiWorker:
        """Load all models; return an API worker that is connected to them.

        Args:
            listener: Bound; None if another ASGI server serves the worker.

        Raises:
            StartError: If a model cannot be loaded or warmed, or a setting not be kept.
        """

        def connect(number: int, client: RunnerClient) -> LocalRunner:
            runner = self._service.runners[number]
            dispatcher, receiver = self.dispatcher(runner)
            isolation, costs = self.load(runner)
            dispatcher.seed(costs)
            executor = ThreadExecutor(
                isolation=isolation, loop=self._loop, name=f"headway-{runner.name}"
            )
            return LocalRunner(
                client=client,
                receiver=receiver,
                dispatcher=dispatcher,
                executor=executor,
                loop=self._loop,
            )

        return self._api_worker(connect, listener, balancer=None, workers=1)

    def _api_worker(
        self,
        connect: Callable[[int, RunnerClient], Part],
        listener: socket.socket | None,
        balancer: ConnectionBalancer | None,
        workers: int,
    ) -> ApiWorker:
        service, settings = self._service, self._config.config.api_server
        build_info = (__version__, platform.python_version())
        self._registry.gauge(BUILD_INFO, build_info).set(1)
        state: dict[str, Any] = {}
        pool = ThreadPool(
            threads=settings.threads,
            refused=self._registry.counter(REFUSED, ("threads",)),
        )
        watch = DeadlineWatch(clock=self._clock, loop=self._loop)
        clients = [self._client(runner, watch) for runner in service.runners]
        telemetry = build_telemetry(
            config=self._config.config,
            routes=[api.route for api in service.apis.values()],
            tracing=self._tracing,
            registry=self._registry,
            clock=self._clock,
            loop=self._loop,
        )
        built: list[ApiWorker] = []
        application = ApiApplication(
            endpoints=self._endpoints(pool, watch, state, workers),
            pages=make_pages(
                service=service,
                clients=clients,
                metrics_dir=self._run_dir.metrics if settings.metrics.enabled else None,
                history=self._run_dir.history if settings.live else None,
                is_draining=lambda: built[0].is_draining,
            ),
            loop=self._loop,
        )
        server = build_server(
            service=service,
            application=application,
            telemetry=telemetry,
            config=settings,
            listener=listener,
            balancer=balancer,
            clock=self._clock,
            loop=self._loop,
        )
        links = [connect(number, client) for number, client in enumerate(clients)]
        built.append(
            ApiWorker(
                service=service,
                server=server,
                clients=clients,
                parts=[part for part in (self._tracing, telemetry, *links) if part],
                watch=watch,
                pool=pool,
                state=state,
            )
        )
        return built[0]

    def _endpoints(
        self,
        pool: ThreadPool,
        watch: DeadlineWatch,
        state: dict[str, Any],
        workers: int,
    ) -> dict[str, Endpoint]:
        settings = self._config.config.api_server
        limit = None
        if settings.max_concurrency is not None:
            limit = ConcurrencyLimit(
                most=math.ceil(settings.max_concurrency / workers),
                refused=lambda reason: self._registry.counter(REFUSED, (reason,)),
            )
        return {
            api.route: Endpoint(
                api=api,
                timeout_s=_or_infinite(settings.timeout),
                limit=limit,
                watch=watch,
                pool=pool,
                meters=EndpointMeters(
                    registry=self._registry, endpoint=api.route, loop=self._loop
                ),
                state=state,
            )
            for api in self._service.apis.values()
        }

    def _client(self, runner: Runner, watch: DeadlineWatch) -> RunnerClient:
        settings = self._config.runner(runner.name)
        return RunnerClient(
            name=runner.name,
            timeout_s=_or_infinite(settings.timeout),
            max_bytes=settings.batching.max_queue_bytes,
            watch=watch,
            wasted_rows=self._registry.counter(WASTED_ROWS, (runner.name,)),
            refused=lambda reason: self._registry.counter(REFUSED, (reason,)),
        )
