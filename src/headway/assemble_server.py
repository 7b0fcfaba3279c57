"""Wires the server of an API worker: the native one, and what is ASGI about it.

assemble calls it. A service without mounts and middleware has its requests go straight
from the native server to its APIs.
"""

import asyncio
import socket
from collections.abc import Sequence

import msgspec

from headway.api.application import ApiApplication
from headway.api.asgi_application import AsgiApplication
from headway.api.asgi_stack import AsgiStack
from headway.api.observation import Observation
from headway.api.observer import Observer
from headway.api.worker import Server
from headway.clock import Clock
from headway.config.schema import ApiServerConfig
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

__all__ = ["Listening", "build_neighbours", "build_server"]


class Listening(msgspec.Struct, frozen=True):
    """Where an API worker has its connections from."""

    sockets: Sequence[socket.socket]
    """Bound to its address."""
    neighbours: Neighbours | None = None
    """The other workers there; None: connections stay where they are."""


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
    observation: Observation | None,
    settings: ApiServerConfig,
    listening: Listening | None,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Server:
    """Return what serves the application, and the service's mounts and middleware.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    observed = _observed(application, observation)
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
    front = _observed(bridge, observation)
    native = _native_server(front, settings, listening, clock)
    return AsgiServer(app=stack, lifespan=lifespan, native=native)


def _observed(application: Application, observation: Observation | None) -> Application:
    if observation is None:
        return application
    return Observer(application=application, observation=observation)


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
