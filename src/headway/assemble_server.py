"""Wires the server of an API worker: the native one, and what is ASGI about it.

assemble calls it. A service without mounts and middleware has its requests go straight
from the native server to its APIs.
"""

import asyncio
import socket
from collections.abc import Sequence

from headway.api.access_log import AccessLog
from headway.api.application import ApiApplication
from headway.api.asgi_application import AsgiApplication
from headway.api.asgi_stack import AsgiStack
from headway.api.worker import Server
from headway.clock import Clock
from headway.config.schema import ApiServerConfig, HeadwayConfig
from headway.http.asgi import AsgiBridge
from headway.http.asgi_server import AsgiServer
from headway.http.balance import BalanceRules
from headway.http.lifespan import Lifespan
from headway.http.limits import HttpLimits
from headway.http.load_board import LoadBoard
from headway.http.neighbours import Neighbours
from headway.http.request import Application
from headway.http.server import HttpServer
from headway.http.tls import server_context
from headway.metrics import MetricsRegistry
from headway.metrics.families import CONNECTIONS_MOVED
from headway.run_dir import RunDir
from headway.service import Service

__all__ = ["build_neighbours", "build_server"]


def build_neighbours(
    *,
    settings: ApiServerConfig,
    index: int,
    workers: int,
    registry: MetricsRegistry,
    run_dir: RunDir,
) -> Neighbours | None:
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
    return Neighbours(
        index=index,
        paths=run_dir.neighbour_sockets(workers),
        board=LoadBoard(path=run_dir.load_board, index=index, places=workers),
        rules=BalanceRules(),
        moved=registry.counter(CONNECTIONS_MOVED),
    )


def build_server(
    *,
    service: Service,
    application: ApiApplication,
    config: HeadwayConfig,
    sockets: Sequence[socket.socket] | None,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
    neighbours: Neighbours | None,
) -> Server:
    """Return what serves the application, and the service's mounts and middleware.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    logged: Application = application
    if config.logging.access:
        logged = AccessLog(application=application, clock=clock)
    settings = config.api_server
    if sockets is not None and not (service.mounts or service.middleware):
        return _native_server(logged, settings, sockets, clock, neighbours)
    stack = AsgiStack(
        middleware=service.middleware,
        mounts=service.mounts,
        apis=AsgiApplication(
            # The native server logs what comes to it, mounts included.
            application=logged if sockets is None else application,
            limits=_limits(settings),
            clock=clock,
        ),
        is_own=application.serves,
    )
    lifespan = Lifespan(stack, "the service's ASGI side")
    if sockets is None:
        return AsgiServer(app=stack, lifespan=lifespan, native=None)
    front: Application = AsgiBridge(
        app=stack,
        native=application,
        is_native=(lambda path: False) if service.middleware else application.serves,
        state=lifespan.state,
        loop=loop,
    )
    if config.logging.access:
        front = AccessLog(application=front, clock=clock)
    native = _native_server(front, settings, sockets, clock, neighbours)
    return AsgiServer(app=stack, lifespan=lifespan, native=native)


def _native_server(
    application: Application,
    settings: ApiServerConfig,
    sockets: Sequence[socket.socket],
    clock: Clock,
    neighbours: Neighbours | None,
) -> HttpServer:
    return HttpServer(
        application=application,
        limits=_limits(settings),
        clock=clock,
        sockets=sockets,
        ssl_context=server_context(settings),
        backlog=settings.backlog,
        neighbours=neighbours,
    )


def _limits(settings: ApiServerConfig) -> HttpLimits:
    return HttpLimits(
        max_header_bytes=settings.max_header_bytes,
        max_body_bytes=settings.max_body_bytes,
        keep_alive_timeout_s=settings.keep_alive_timeout_s,
        request_timeout_s=settings.request_timeout_s,
    )
