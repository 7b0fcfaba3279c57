"""`headway serve` without --production: API worker and runners in one process.

The CLI runs it, and asgi builds it for other ASGI servers. The queue, the scheduler and
the frames are those of production; only the transport is in-process, and each model
computes in a thread.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial

from headway.api.admission import DeadlineWatch
from headway.api.runner_client import RunnerClient
from headway.api.worker import ApiWorker
from headway.config.resolution import ResolvedConfig
from headway.core.clock import Clock
from headway.core.gc_tuning import tune_gc
from headway.core.run_dir import RunDir
from headway.ipc.channel import LocalChannel
from headway.metrics import MetricsRegistry
from headway.observability.live.recorder import Recorder
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import FailureIsolation, ThreadExecutor
from headway.runner.receiver import RunnerReceiver
from headway.server.assembly import (
    RunnerCore,
    build_api_worker,
    build_clients,
    build_runner_core,
    load_model,
    warm_core,
)
from headway.server.placement import describe, warn_of_ignored
from headway.server.sockets import (
    allow_connections,
    bind_http,
    refuse_handshakes,
    url_of,
)
from headway.server.telemetry_assembly import build_tracing
from headway.service.runner import Runner
from headway.service.service import ServiceDefinition

__all__ = ["EmbeddedServer", "LocalLink", "build_embedded", "open_registry"]

_log = logging.getLogger(__name__)


class LocalLink:
    """Connects a runner client to the runner in this process.

    Args:
        client: The API worker's end.
        inbox: The runner's end.
        dispatcher: Serves the inbox.
        executor: The model.
        loop: Delivers frames.
    """

    def __init__(
        self,
        *,
        client: RunnerClient,
        inbox: RunnerReceiver,
        dispatcher: Dispatcher,
        executor: ThreadExecutor,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._dispatcher = dispatcher
        self._executor = executor
        self._loop = loop
        self._channel: LocalChannel | None = None

    def start(self) -> None:
        """Connect."""
        self._dispatcher.start(self._inbox)
        self._dispatcher.add_replica(self._executor)
        self._channel, _ = LocalChannel.connect(self._client, self._inbox, self._loop)

    async def aclose(self) -> None:
        """Disconnect, after the batch at hand."""
        if self._channel is not None:
            self._channel.close()
        await self._executor.aclose()
        self._dispatcher.close()


class EmbeddedServer:
    """A server of one process.

    Args:
        service: What to serve.
        config: Its settings.
        run_dir: For metrics; removed at the end.
        clock: For everything that decides by time.
        announce: Told the line that says where the server is.
    """

    def __init__(
        self,
        *,
        service: ServiceDefinition,
        config: ResolvedConfig,
        run_dir: RunDir,
        clock: Clock,
        announce: Callable[[str], None],
    ) -> None:
        self._service = service
        self._config = config
        self._run_dir = run_dir
        self._clock = clock
        self._announce = announce

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Raises:
            StartError: If the server cannot start.
        """
        allow_connections()
        registry = open_registry(self._config, self._run_dir)
        recorder = make_recorder(self._service, self._run_dir, self._clock)
        try:
            if self._config.config.api_server.live:
                recorder.start()
            await self._serve(registry)
        finally:
            await recorder.aclose()
            registry.close()
            self._run_dir.remove()

    async def _serve(self, registry: MetricsRegistry) -> None:
        loop = asyncio.get_running_loop()
        settings = self._config.config.api_server
        listener = bind_http(settings.host, settings.port)
        worker = build_embedded(
            service=self._service,
            config=self._config,
            listener=listener,
            registry=registry,
            run_dir=self._run_dir,
            clock=self._clock,
            loop=loop,
        )
        # Only now: until the models are loaded, a signal ends the process at once.
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        url = url_of(listener, settings.host, tls=settings.ssl_certfile is not None)
        await worker.start()
        try:
            await worker.wait_ready()
            tune_gc()
            self._announce(
                f"{self._service.name} is ready at {url} "
                "(one process; --production serves with several)"
            )
            await told.wait()
            refuse_handshakes(listener)
            await worker.drain(settings.shutdown_timeout_s)
        finally:
            await worker.aclose()


def open_registry(config: ResolvedConfig, run_dir: RunDir) -> MetricsRegistry:
    """Return the started registry of the one process; to be closed."""
    registry = MetricsRegistry(
        run_dir.metrics_file("embedded"),
        duration_bounds_s=config.config.api_server.metrics.duration_buckets_s,
    )
    registry.start()
    return registry


def make_recorder(
    service: ServiceDefinition, run_dir: RunDir, clock: Clock
) -> Recorder:
    """Return what writes down the last 15 minutes of the one process."""
    return Recorder(
        metrics_dir=run_dir.metrics,
        history=run_dir.history,
        runners=[runner.name for runner in service.runners],
        clock=clock,
    )


def build_embedded(
    *,
    service: ServiceDefinition,
    config: ResolvedConfig,
    listener: socket.socket | None,
    registry: MetricsRegistry,
    run_dir: RunDir,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> ApiWorker:
    """Load the models, and return the API worker that is connected to them.

    Args:
        service: What to serve.
        config: Its settings.
        listener: Bound; None: another ASGI server serves the worker.
        registry: Counts.
        run_dir: Has the metrics.
        clock: For everything that decides by time.
        loop: Runs all of it.

    Raises:
        StartError: If a model cannot be loaded or warmed, or a setting not be kept.
    """
    for runner in describe(service).runners:
        warn_of_ignored(runner, config.runner(runner.name))
    watch = DeadlineWatch(clock=clock, loop=loop)
    clients = build_clients(
        service=service, config=config, registry=registry, watch=watch
    )
    tracing = build_tracing(
        config=config.config, service=service.name, process="embedded", clock=clock
    )
    make_core = partial(
        build_runner_core, registry=registry, clock=clock, loop=loop, tracing=tracing
    )
    return build_api_worker(
        service=service,
        config=config,
        workers=1,
        listener=listener,
        balancer=None,
        clients=clients,
        links=[
            _link(
                client,
                runner,
                make_core(runner=runner, config=config.runner(runner.name)),
                registry,
                clock,
                loop,
            )
            for client, runner in zip(clients, service.runners, strict=True)
        ],
        registry=registry,
        run_dir=run_dir,
        watch=watch,
        clock=clock,
        loop=loop,
        tracing=tracing,
    )


def _link(
    client: RunnerClient,
    runner: Runner,
    core: RunnerCore,
    registry: MetricsRegistry,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> LocalLink:
    """Load a model and return what connects it."""
    runnable = load_model(runner)
    warm_core(core, runner.name, runnable, clock)
    executor = ThreadExecutor(
        isolation=FailureIsolation(
            runner=runner.name,
            runnable=runnable,
            specs=core.specs,
            registry=registry,
            clock=clock,
        ),
        loop=loop,
        name=f"headway-{runner.name}",
    )
    return LocalLink(
        client=client,
        inbox=core.receiver,
        dispatcher=core.dispatcher,
        executor=executor,
        loop=loop,
    )
