"""A service as an ASGI application: `headway.asgi_app`, and `headway.Service`.

Its lifespan loads the models into the ASGI server's own process, as an EmbeddedServer:
with the queue, scheduler and batching of `headway serve`.
"""

import functools
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import Self

from headway.api.worker import ApiWorker
from headway.config.resolution import ResolvedConfig
from headway.errors import HeadwayError, UnavailableError
from headway.http.asgi.application import send_answer
from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send
from headway.http.asgi.stack import AsgiServer
from headway.http.request import render_error
from headway.server.embedded import EmbeddedServer
from headway.server.placement import describe
from headway.service.service import ServiceDefinition


class Service(ServiceDefinition):
    """A set of API functions, the runners that they call, and its ASGI application.

    Args:
        name: Shown in the documentation and the logs.
        runners: Each has its own processes.
        models: Saved models that API functions use without a runner, for listing.

    Raises:
        ConfigError: If the name is malformed or two runners share a name.
    """

    @functools.cached_property
    def asgi_app(self) -> "ServiceApp":
        """This service as an ASGI application; see `headway.asgi_app`."""
        return asgi_app(self)


def asgi_app(
    service: ServiceDefinition, *, config: str | Path | None = None
) -> "ServiceApp":
    """Return a service as an ASGI application, as in `uvicorn service:app`.

    Each process that starts it has a copy of every model.

    Args:
        service: The service.
        config: A configuration file; None: $HEADWAY_CONFIG, else headway.yaml in the
            current folder, if it exists.

    Raises:
        ConfigError: If a setting is wrong.
    """
    resolved = describe(service).resolve(
        config_file=None if config is None else Path(config), folder=Path.cwd()
    )
    return ServiceApp(service=service, config=resolved)


class ServiceApp:
    """An ASGI application, started by its lifespan or by `async with`.

    Mounted in another application it needs the latter, as mounts get no lifespan.

    Args:
        service: The service.
        config: Its settings; those of the server itself, like `port`, have no effect.
    """

    def __init__(self, *, service: ServiceDefinition, config: ResolvedConfig) -> None:
        self._service = service
        self._config = config
        self._app: AsgiApp | None = None
        self._server: EmbeddedServer | None = None
        self._worker: ApiWorker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or a lifespan."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            error = UnavailableError(
                f"the service {self._service.name!r} is not started: let the ASGI "
                "server run its lifespan or, if it is mounted, enter it with "
                "`async with app:` in the lifespan of the application around it"
            )
            await send_answer(render_error(error), scope["method"], send)

    async def __aenter__(self) -> Self:
        """Load the models and start.

        Raises:
            StartError: If the service cannot start.
        """
        self._server = EmbeddedServer(service=self._service, config=self._config)
        try:
            self._worker = worker = self._server.load(None)
            await worker.start()
            await worker.wait_ready()
        except BaseException:
            await self._server.aclose()
            raise
        assert isinstance(worker.server, AsgiServer)
        self._app = worker.server.app
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Run the shutdown hooks and let the models go."""
        assert self._server is not None
        assert self._worker is not None
        try:
            await self._worker.drain(self._config.config.api_server.shutdown_timeout_s)
        finally:
            self._app = None
            await self._server.aclose()

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        if await _report(self.__aenter__(), "startup", send):
            await receive()
            await _report(self.__aexit__(None, None, None), "shutdown", send)


async def _report(step: Awaitable[object], name: str, send: Send) -> bool:
    """Report to the ASGI server whether a step of the lifespan succeeds."""
    try:
        await step
    except HeadwayError as error:
        await send({"type": f"lifespan.{name}.failed", "message": error.message})
        return False
    await send({"type": f"lifespan.{name}.complete"})
    return True
