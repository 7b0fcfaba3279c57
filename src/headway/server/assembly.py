"""The only place where objects are wired together.

embedded and worker (the main module of a process) call it; docs/design/architecture.md
follows a request through the objects that are built here.
"""

import asyncio
import math
import os
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from headway.api.admission import Admission, ConcurrencyLimit, DeadlineWatch
from headway.api.application import ApiApplication
from headway.api.endpoint import Endpoint
from headway.api.pages import make_pages
from headway.api.runner_client import RunnerClient
from headway.api.thread_pool import ThreadPool
from headway.api.worker import ApiWorker, Part
from headway.config.resolution import ResolvedConfig
from headway.config.schema import BatchingConfig, RunnerConfig
from headway.core.clock import Clock
from headway.core.method_spec import MethodSpec
from headway.core.run_dir import RunDir
from headway.core.version import __version__
from headway.errors import HeadwayError, RunnerStartError
from headway.http.balancer import ConnectionBalancer
from headway.ipc.records import ReadyFrame
from headway.ipc.unix import UnixLink
from headway.metrics import MetricsRegistry
from headway.metrics.families import BUILD_INFO, REFUSED, WASTED_ROWS
from headway.metrics.meters import EndpointMeters, RunnerMeters
from headway.observability.tracing import Tracing
from headway.runner.batch_spans import BatchSpans
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import FailureIsolation, InlineExecutor
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica
from headway.runner.replica_link import ReplicaLink
from headway.runner.server import ReplicaServer, RunnerServer
from headway.runner.warmup import warm_up
from headway.scheduling.scheduler import Scheduler
from headway.server.edge_assembly import build_server
from headway.server.telemetry_assembly import build_telemetry
from headway.service.runnable import Runnable
from headway.service.runner import Runner
from headway.service.service import ServiceDefinition

__all__ = [
    "RunnerCore",
    "build_api_worker",
    "build_clients",
    "build_replica",
    "build_runner_core",
    "build_runner_server",
    "load_model",
]


class RunnerCore(msgspec.Struct):
    """The parts of a runner that do not depend on where its replicas are."""

    specs: dict[str, MethodSpec]
    methods: dict[str, BatchingConfig]
    dispatcher: Dispatcher
    receiver: RunnerReceiver
    tracing: Tracing | None


def _or_infinite(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


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


def build_runner_core(
    *,
    runner: Runner,
    config: RunnerConfig,
    registry: MetricsRegistry,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
    tracing: Tracing | None = None,
) -> RunnerCore:
    """Return the queue, the scheduler and what feeds them."""
    specs = {name: method.spec for name, method in runner.methods.items()}
    methods = _method_batching(specs, config)
    scheduler = Scheduler(config=config.batching, replicas=0)
    costs = {
        name: (scheduler.cost(name), batching.max_batch_size)
        for name, batching in methods.items()
        if batching.enabled
    }
    dispatcher = Dispatcher(
        name=runner.name,
        scheduler=scheduler,
        meters=RunnerMeters(
            registry=registry,
            runner=runner.name,
            methods=list(specs),
            costs=costs,
        ),
        clock=clock,
        loop=loop,
        spans=None
        if tracing is None
        else BatchSpans(runner=runner.name, tracing=tracing),
    )
    receiver = RunnerReceiver(
        ready=ReadyFrame(runner=runner.name, pid=os.getpid()),
        methods=methods,
        sink=dispatcher,
    )
    return RunnerCore(specs, methods, dispatcher, receiver, tracing)


def _method_batching(
    specs: Mapping[str, MethodSpec], config: RunnerConfig
) -> dict[str, BatchingConfig]:
    """Return the batching of each method: off if it is not batchable."""
    methods = {name: config.batching_of(name) for name in specs}
    return {
        name: batching
        if specs[name].batchable
        else msgspec.structs.replace(batching, enabled=False)
        for name, batching in methods.items()
    }


def warm_core(core: RunnerCore, name: str, runnable: Runnable, clock: Clock) -> None:
    """Run the model on warm-up batches, which seeds the scheduler's cost model."""
    costs = warm_up(
        runner=name,
        runnable=runnable,
        specs=core.specs,
        methods=core.methods,
        clock=clock,
    )
    core.dispatcher.seed(costs)


def build_runner_server(
    *,
    core: RunnerCore,
    runner: Runner,
    config: RunnerConfig,
    listening: socket.socket,
    replica_paths: Sequence[str],
    registry: MetricsRegistry,
    clock: Clock,
) -> RunnerServer:
    """Return a runner's process: with its one model, or with links to replicas.

    Raises:
        RunnerStartError: If its model cannot be loaded or warmed.
    """
    if replica_paths:
        links = [
            UnixLink(
                path=path,
                owner=ReplicaLink(
                    dispatcher=core.dispatcher, clock=clock, number=number
                ),
                memory_bytes=config.shared_memory_bytes,
                share_from=config.shared_memory_from_bytes,
            )
            for number, path in enumerate(replica_paths)
        ]
        return RunnerServer(
            listening=listening,
            receiver=core.receiver,
            dispatcher=core.dispatcher,
            links=links,
            tracing=core.tracing,
        )
    runnable = load_model(runner)
    warm_core(core, runner.name, runnable, clock)
    executor = InlineExecutor(
        isolation=FailureIsolation(
            runner=runner.name,
            runnable=runnable,
            specs=core.specs,
            registry=registry,
            clock=clock,
        )
    )
    return RunnerServer(
        listening=listening,
        receiver=core.receiver,
        dispatcher=core.dispatcher,
        executor=executor,
        tracing=core.tracing,
    )


def build_replica(
    *,
    runner: Runner,
    config: RunnerConfig,
    listening: socket.socket,
    registry: MetricsRegistry,
    clock: Clock,
) -> ReplicaServer:
    """Return a replica's process.

    Raises:
        RunnerStartError: If its model cannot be loaded or warmed.
    """
    specs = {name: method.spec for name, method in runner.methods.items()}
    runnable = load_model(runner)
    costs = warm_up(
        runner=runner.name,
        runnable=runnable,
        specs=specs,
        methods=_method_batching(specs, config),
        clock=clock,
    )
    return ReplicaServer(
        listening=listening,
        owner=Replica(
            ready=ReadyFrame(runner=runner.name, pid=os.getpid(), costs=costs),
            isolation=FailureIsolation(
                runner=runner.name,
                runnable=runnable,
                specs=specs,
                registry=registry,
                clock=clock,
            ),
        ),
    )


def build_clients(
    *,
    service: ServiceDefinition,
    config: ResolvedConfig,
    registry: MetricsRegistry,
    watch: DeadlineWatch,
) -> list[RunnerClient]:
    """Return a client for each runner of the service, in order."""
    clients = []
    for runner in service.runners:
        settings = config.runner(runner.name)
        clients.append(
            RunnerClient(
                name=runner.name,
                timeout_s=_or_infinite(settings.timeout),
                max_bytes=settings.batching.max_queue_bytes,
                watch=watch,
                wasted_rows=registry.counter(WASTED_ROWS, (runner.name,)),
                refused=lambda reason: registry.counter(REFUSED, (reason,)),
            )
        )
    return clients


def build_api_worker(  # noqa: PLR0913 - the parts that production and embedded differ in
    *,
    service: ServiceDefinition,
    config: ResolvedConfig,
    workers: int,
    listener: socket.socket | None,
    balancer: ConnectionBalancer | None,
    clients: Sequence[RunnerClient],
    links: Sequence[Part],
    registry: MetricsRegistry,
    run_dir: RunDir,
    watch: DeadlineWatch,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
    tracing: Tracing | None,
) -> ApiWorker:
    """Return an API worker; if it listens nowhere, one that another ASGI server serves.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    registry.gauge(BUILD_INFO, (__version__, platform.python_version())).set(1)
    settings = config.config.api_server
    state: dict[str, Any] = {}
    pool = ThreadPool(
        threads=settings.threads, refused=registry.counter(REFUSED, ("threads",))
    )
    limit, most = None, settings.max_concurrency
    if most is not None:
        limit = ConcurrencyLimit(
            most=math.ceil(most / workers),
            refused=lambda reason: registry.counter(REFUSED, (reason,)),
        )
    telemetry = build_telemetry(
        config=config.config,
        routes=[api.route for api in service.apis.values()],
        tracing=tracing,
        registry=registry,
        clock=clock,
        loop=loop,
    )
    built: list[ApiWorker] = []
    is_draining: Callable[[], bool] = lambda: built[0].is_draining  # noqa: E731
    application = ApiApplication(
        endpoints={
            api.route: Endpoint(
                api=api,
                admission=Admission(
                    timeout_s=_or_infinite(settings.timeout), limit=limit, watch=watch
                ),
                pool=pool,
                meters=EndpointMeters(registry=registry, endpoint=api.route, loop=loop),
                state=state,
            )
            for api in service.apis.values()
        },
        pages=make_pages(
            service=service,
            clients=clients,
            metrics_dir=run_dir.metrics if settings.metrics.enabled else None,
            history=run_dir.history if settings.live else None,
            is_draining=is_draining,
        ),
        loop=loop,
    )
    server = build_server(
        service=service,
        application=application,
        telemetry=telemetry,
        settings=settings,
        listener=listener,
        balancer=balancer,
        clock=clock,
        loop=loop,
    )
    built.append(
        ApiWorker(
            service=service,
            server=server,
            clients=clients,
            parts=[part for part in (tracing, telemetry, *links) if part],
            watch=watch,
            pool=pool,
            state=state,
        )
    )
    return built[0]
