"""Wires the HTTP server of an API worker, and its ASGI side if the service has one.

assembly calls it. Without mounts and middleware, requests go straight from the native
server to the APIs.
"""

import asyncio
import socket

from headway.api.application import ApiApplication
from headway.api.worker import Server
from headway.config.schema import ApiServerConfig
from headway.core.clock import Clock
from headway.core.run_dir import RunDir
from headway.http.asgi.application import AsgiApplication
from headway.http.asgi.bridge import AsgiBridge
from headway.http.asgi.stack import AsgiServer, AsgiStack, Lifespan
from headway.http.balancer import ConnectionBalancer
from headway.http.load_table import SharedLoadTable
from headway.http.request import Application
from headway.http.server import HttpServer, server_context
from headway.http.telemetry_application import TelemetryApplication
from headway.metrics import MetricsRegistry
from headway.metrics.families import CONNECTIONS_MOVED
from headway.observability.telemetry import Telemetry
from headway.service.service import ServiceDefinition

__all__ = ["build_balancer", "build_server"]


def build_balancer(
    *,
    config: ApiServerConfig,
    index: int,
    workers: int,
    registry: MetricsRegistry,
    run_dir: RunDir,
) -> ConnectionBalancer | None:
    """Return what shares connections between API workers; None: there is one worker.

    Args:
        config: Whether open connections move; with TLS they cannot, as its state is
            in the process.
        index: This worker.
        workers: The number of workers.
        registry: Counts.
        run_dir: Has the files that the workers share.
    """
    if workers < 2:
        return None
    moves = config.balance and config.ssl_certfile is None
    return ConnectionBalancer(
        index=index,
        table=SharedLoadTable(path=run_dir.load_table, index=index, workers=workers),
        paths=run_dir.api_worker_sockets(workers) if moves else (),
        moved=registry.counter(CONNECTIONS_MOVED),
    )


def build_server(  # noqa: PLR0913 - the parts that production and embedded differ in
    *,
    service: ServiceDefinition,
    application: ApiApplication,
    telemetry: Telemetry | None,
    config: ApiServerConfig,
    listener: socket.socket | None,
    balancer: ConnectionBalancer | None,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Server:
    """Return what serves the application, and the service's mounts and middleware.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    observed = _observed(application, telemetry)
    if listener is not None and not (service.mounts or service.middleware):
        return _native_server(observed, config, listener, balancer, clock)
    stack = AsgiStack(
        middleware=service.middleware,
        mounts=service.mounts,
        apis=AsgiApplication(
            # The native server observes what comes to it, mounts included.
            application=observed if listener is None else application,
            config=config,
            clock=clock,
        ),
        is_own=application.serves,
    )
    lifespan = Lifespan(stack, "the service's ASGI side")
    if listener is None:
        return AsgiServer(app=stack, lifespan=lifespan, native=None)
    bridge = AsgiBridge(
        app=stack,
        native=application,
        is_native=(lambda path: False) if service.middleware else application.serves,
        state=lifespan.state,
        loop=loop,
    )
    front = _observed(bridge, telemetry)
    native = _native_server(front, config, listener, balancer, clock)
    return AsgiServer(app=stack, lifespan=lifespan, native=native)


def _observed(application: Application, telemetry: Telemetry | None) -> Application:
    if telemetry is None:
        return application
    return TelemetryApplication(application=application, telemetry=telemetry)


def _native_server(
    application: Application,
    config: ApiServerConfig,
    listener: socket.socket,
    balancer: ConnectionBalancer | None,
    clock: Clock,
) -> HttpServer:
    return HttpServer(
        application=application,
        config=config,
        clock=clock,
        listener=listener,
        ssl_context=server_context(config),
        balancer=balancer,
    )
