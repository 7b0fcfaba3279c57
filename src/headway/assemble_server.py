"""Wires the server of an API worker: the native one, and what is ASGI about it.

assemble calls it. A service without mounts and middleware has its requests go straight
from the native server to its APIs.
"""

import asyncio
import socket
from collections.abc import Sequence

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
from headway.http.lifespan import Lifespan
from headway.http.limits import HttpLimits
from headway.http.request import Application
from headway.http.server import HttpServer
from headway.http.tls import server_context
from headway.service import Service

__all__ = ["build_server"]


def build_server(
    *,
    service: Service,
    application: ApiApplication,
    observation: Observation | None,
    settings: ApiServerConfig,
    sockets: Sequence[socket.socket] | None,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Server:
    """Return what serves the application, and the service's mounts and middleware.

    Raises:
        ConfigError: If a file of TLS cannot be used.
    """
    observed = _observed(application, observation)
    if sockets is not None and not (service.mounts or service.middleware):
        return _native_server(observed, settings, sockets, clock)
    stack = AsgiStack(
        middleware=service.middleware,
        mounts=service.mounts,
        apis=AsgiApplication(
            # The native server observes what comes to it, mounts included.
            application=observed if sockets is None else application,
            limits=_limits(settings),
            clock=clock,
        ),
        is_own=application.serves,
    )
    lifespan = Lifespan(stack, "the service's ASGI side")
    if sockets is None:
        return AsgiServer(app=stack, lifespan=lifespan, native=None)
    bridge = AsgiBridge(
        app=stack,
        native=application,
        is_native=(lambda path: False) if service.middleware else application.serves,
        state=lifespan.state,
        loop=loop,
    )
    native = _native_server(_observed(bridge, observation), settings, sockets, clock)
    return AsgiServer(app=stack, lifespan=lifespan, native=native)


def _observed(application: Application, observation: Observation | None) -> Application:
    if observation is None:
        return application
    return Observer(application=application, observation=observation)


def _native_server(
    application: Application,
    settings: ApiServerConfig,
    sockets: Sequence[socket.socket],
    clock: Clock,
) -> HttpServer:
    return HttpServer(
        application=application,
        limits=_limits(settings),
        clock=clock,
        sockets=sockets,
        ssl_context=server_context(settings),
        backlog=settings.backlog,
    )


def _limits(settings: ApiServerConfig) -> HttpLimits:
    return HttpLimits(
        max_header_bytes=settings.max_header_bytes,
        max_body_bytes=settings.max_body_bytes,
        keep_alive_timeout_s=settings.keep_alive_timeout_s,
        request_timeout_s=settings.request_timeout_s,
    )
