"""Wires the server of an API worker: the native one, and what is ASGI about it.

assemble calls it. A service without mounts and middleware has its requests go straight
from the native server to its APIs.
"""

import asyncio
import socket
from collections.abc import Sequence

import msgspec

from headway.api.application import ApiApplication
from headway.api.worker import Server
from headway.config.schema import ApiServerConfig
from headway.core.clock import Clock
from headway.core.run_dir import RunDir
from headway.http.asgi.application import AsgiApplication
from headway.http.asgi.bridge import AsgiBridge
from headway.http.asgi.lifespan import Lifespan
from headway.http.asgi.server import AsgiServer
from headway.http.asgi.stack import AsgiStack
from headway.http.balance import BalanceRules
from headway.http.balancer import ConnectionBalancer
from headway.http.limits import HttpLimits
from headway.http.request import Application
from headway.http.server import HttpServer
from headway.http.shared_load_table import SharedLoadTable
from headway.http.telemetry_application import TelemetryApplication
from headway.http.tls import server_context
from headway.metrics import MetricsRegistry
from headway.metrics.families import CONNECTIONS_MOVED
from headway.observability.telemetry import Telemetry
from headway.service.service import ServiceDefinition

__all__ = ["Listening", "build_neighbours", "build_server"]


class Listening(msgspec.Struct, frozen=True):
    """Where an API worker has its connections from."""

    sockets: Sequence[socket.socket]
    """Bound to its address."""
    neighbours: ConnectionBalancer | None = None
    """The other workers there; None: connections stay where they are."""


def build_neighbours(
    *,
    settings: ApiServerConfig,
    index: int,
    workers: int,
    registry: MetricsRegistry,
    run_dir: RunDir,
) -> ConnectionBalancer | None:
    """Return what moves connections between the API workers; None: they stay.

    Args:
        settings: Say whether to.
        index: Which of the workers this is.
        workers: How many there are.
        registry: Counts.
        run_dir: Has the files by which the workers meet.
    """
    if workers < 2 or not settings.balance or settings.ssl_certfile is not None:
        return None
    return ConnectionBalancer(
        index=index,
        paths=run_dir.neighbour_sockets(workers),
        board=SharedLoadTable(path=run_dir.load_board, index=index, places=workers),
        rules=BalanceRules(),
        moved=registry.counter(CONNECTIONS_MOVED),
    )


def build_server(
    *,
    service: ServiceDefinition,
    application: ApiApplication,
    telemetry: Telemetry | None,
    settings: ApiServerConfig,
    listening: Listening | None,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Server:
    """Return what serves the application, and the service's mounts and middleware.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    observed = _observed(application, telemetry)
    if listening is not None and not (service.mounts or service.middleware):
        return _native_server(observed, settings, listening, clock)
    stack = AsgiStack(
        middleware=service.middleware,
        mounts=service.mounts,
        apis=AsgiApplication(
            # The native server observes what comes to it, mounts included.
            application=observed if listening is None else application,
            limits=_limits(settings),
            clock=clock,
        ),
        is_own=application.serves,
    )
    lifespan = Lifespan(stack, "the service's ASGI side")
    if listening is None:
        return AsgiServer(app=stack, lifespan=lifespan, native=None)
    bridge = AsgiBridge(
        app=stack,
        native=application,
        is_native=(lambda path: False) if service.middleware else application.serves,
        state=lifespan.state,
        loop=loop,
    )
    front = _observed(bridge, telemetry)
    native = _native_server(front, settings, listening, clock)
    return AsgiServer(app=stack, lifespan=lifespan, native=native)


def _observed(application: Application, telemetry: Telemetry | None) -> Application:
    if telemetry is None:
        return application
    return TelemetryApplication(application=application, telemetry=telemetry)


def _native_server(
    application: Application,
    settings: ApiServerConfig,
    listening: Listening,
    clock: Clock,
) -> HttpServer:
    return HttpServer(
        application=application,
        limits=_limits(settings),
        clock=clock,
        sockets=listening.sockets,
        ssl_context=server_context(settings),
        backlog=settings.backlog,
        neighbours=listening.neighbours,
    )


def _limits(settings: ApiServerConfig) -> HttpLimits:
    return HttpLimits(
        max_header_bytes=settings.max_header_bytes,
        max_body_bytes=settings.max_body_bytes,
        keep_alive_timeout_s=settings.keep_alive_timeout_s,
        request_timeout_s=settings.request_timeout_s,
    )
