"""The place where the parts of an API worker are wired together.

process and embedded call it; docs/design/architecture.md follows a request through the
parts. Only what the settings enable is built: without mounts, middleware and telemetry,
requests go straight from the HTTP server to the APIs.
"""

import math
import os
import platform
import secrets
import socket
from collections.abc import Callable
from typing import Any

from headway.api.admission import ConcurrencyLimit, DeadlineWatch
from headway.api.application import ApiApplication
from headway.api.endpoint import Endpoint
from headway.api.pages import make_pages
from headway.api.runner_client import RunnerClient
from headway.api.thread_pool import ThreadPool
from headway.api.worker import ApiWorker, Part, Server
from headway.core.version import __version__
from headway.http.asgi.application import AsgiApplication
from headway.http.asgi.bridge import AsgiBridge
from headway.http.asgi.stack import AsgiServer, AsgiStack, Lifespan
from headway.http.balancer import ConnectionBalancer
from headway.http.load_table import SharedLoadTable
from headway.http.request import Application, TelemetryApplication
from headway.http.server import HttpServer, server_context
from headway.ipc.unix import UnixLink
from headway.metrics import Counter
from headway.metrics.families import (
    ACCESS_LOG_DROPPED,
    BUILD_INFO,
    CONNECTIONS_MOVED,
    REFUSED,
    WASTED_ROWS,
)
from headway.metrics.meters import EndpointMeters
from headway.observability.access_log import AccessLog
from headway.observability.request_trace import Telemetry
from headway.observability.trace_context import sampling_of
from headway.runner.executor import ThreadExecutor
from headway.runner.server import LocalRunner
from headway.server.runner_assembly import RunnerAssembly
from headway.service.runner import Runner

_ID_PREFIX_BYTES = 5


class Assembly(RunnerAssembly):
    """Builds the parts of one process: an API worker's, and those of runners."""

    def api_worker(
        self, *, listener: socket.socket, index: int, workers: int
    ) -> ApiWorker:
        """Return an API worker that is connected to runners in other processes.

        Raises:
            ConfigError: If a file of TLS cannot be used.
        """

        def connect(number: int, client: RunnerClient) -> UnixLink:
            path = self._run_dir.runner_socket(number)
            return self._unix_link(path, client, client.name)

        return self._api_worker(connect, listener, index, workers)

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
            dispatcher.add_replica(executor)
            return LocalRunner(
                client=client,
                owner=receiver,
                dispatcher=dispatcher,
                executor=executor,
                loop=self._loop,
            )

        return self._api_worker(connect, listener, index=0, workers=1)

    def _api_worker(
        self,
        connect: Callable[[int, RunnerClient], Part],
        listener: socket.socket | None,
        index: int,
        workers: int,
    ) -> ApiWorker:
        service, settings = self._service, self._config.config.api_server
        build_info = (__version__, platform.python_version())
        self._registry.gauge(BUILD_INFO, build_info).set(1)
        state: dict[str, Any] = {}
        pool = ThreadPool(threads=settings.threads, refused=self._refused("threads"))
        watch = DeadlineWatch(clock=self._clock, loop=self._loop)
        clients = [self._client(runner, watch) for runner in service.runners]
        telemetry = self.telemetry()
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
        balancer = self.balancer(index=index, workers=workers)
        server = self._server(application, telemetry, listener, balancer)
        links = [connect(number, client) for number, client in enumerate(clients)]
        built.append(
            ApiWorker(
                service=service,
                server=server,
                clients=clients,
                parts=[
                    part
                    for part in (
                        self.tracing,
                        telemetry and telemetry.access_log,
                        *links,
                    )
                    if part
                ],
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
                refused=self._refused,
            )
        return {
            api.route: Endpoint(
                api=api,
                timeout_s=settings.timeout or math.inf,
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
            timeout_s=settings.timeout or math.inf,
            max_bytes=settings.batching.max_queue_bytes,
            watch=watch,
            wasted_rows=self._registry.counter(WASTED_ROWS, (runner.name,)),
            refused=self._refused,
        )

    def _refused(self, reason: str) -> Counter:
        return self._registry.counter(REFUSED, (reason,))

    # The HTTP server, and the ASGI side of a service that has one.

    def balancer(self, *, index: int, workers: int) -> ConnectionBalancer | None:
        """Return what shares connections between API workers; None: there is one.

        Args:
            index: This worker.
            workers: The number of workers.
        """
        if workers < 2:
            return None
        settings = self._config.config.api_server
        # With TLS connections cannot move, as its state is in the process.
        moves = settings.balance and settings.ssl_certfile is None
        table = SharedLoadTable(
            path=self._run_dir.load_table, index=index, workers=workers
        )
        return ConnectionBalancer(
            index=index,
            table=table,
            paths=self._run_dir.api_worker_sockets(workers) if moves else (),
            moved=self._registry.counter(CONNECTIONS_MOVED),
        )

    def _server(
        self,
        application: ApiApplication,
        telemetry: Telemetry | None,
        listener: socket.socket | None,
        balancer: ConnectionBalancer | None,
    ) -> Server:
        """Return what serves the application, and the service's mounts and middleware.

        Raises:
            ConfigError: If a file of TLS cannot be used.
        """

        def observed(served: Application) -> Application:
            if telemetry is None:
                return served
            return TelemetryApplication(application=served, telemetry=telemetry)

        def native(served: Application, listener: socket.socket) -> HttpServer:
            return HttpServer(
                application=observed(served),
                config=settings,
                clock=self._clock,
                listener=listener,
                ssl_context=server_context(settings),
                balancer=balancer,
            )

        service, settings = self._service, self._config.config.api_server
        if listener is not None and not (service.mounts or service.middleware):
            return native(application, listener)
        stack = AsgiStack(
            middleware=service.middleware,
            mounts=service.mounts,
            apis=AsgiApplication(
                # The native server observes what comes to it, mounts included.
                application=observed(application) if listener is None else application,
                config=settings,
                clock=self._clock,
            ),
            is_own=application.serves,
        )
        lifespan = Lifespan(stack, "the service's ASGI side")
        server = None
        if listener is not None:
            bridge = AsgiBridge(
                app=stack,
                native=application,
                is_native=(
                    (lambda path: False) if service.middleware else application.serves
                ),
                state=lifespan.state,
                loop=self._loop,
            )
            server = native(bridge, listener)
        return AsgiServer(app=stack, lifespan=lifespan, native=server)

    def telemetry(self) -> Telemetry | None:
        """Return the telemetry of requests; None if the settings enable none.

        Raises:
            ConfigError: If a variable of OpenTelemetry is wrong.
        """
        config, tracing = self._config.config, self.tracing
        settings, access = config.api_server, config.logging.access
        has_ids = settings.request_ids or access
        if not (has_ids or settings.server_timing or tracing):
            return None
        sampling = access_log = None
        if tracing is not None:
            sampling = sampling_of(config.tracing.sample_ratio, os.environ)
        if access:
            dropped = self._registry.counter(ACCESS_LOG_DROPPED)
            access_log = AccessLog(loop=self._loop, dropped=dropped)
        return Telemetry(
            clock=self._clock,
            id_prefix=secrets.token_hex(_ID_PREFIX_BYTES) if has_ids else None,
            access_log=access_log,
            shows_timing=settings.server_timing,
            tracing=tracing,
            sampling=sampling,
            routes=[api.route for api in self._service.apis.values()],
        )
