"""A service as an ASGI application, for any ASGI server: `headway.asgi_app`.

Its lifespan loads the models into the server's own process, with the queue, scheduler
and batching of `headway serve`; embedded builds them.
"""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import Self

from headway.api.worker import ApiWorker
from headway.config.resolution import ResolvedConfig, resolve
from headway.core.clock import MonotonicClock
from headway.core.run_dir import RunDir
from headway.errors import HeadwayError, UnavailableError
from headway.http.asgi.application import send_answer
from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send
from headway.http.asgi.server import AsgiServer
from headway.http.request import render_error
from headway.metrics import MetricsRegistry
from headway.observability.live.recorder import Recorder
from headway.server.embedded import build_embedded, make_recorder, open_registry
from headway.server.placement import describe
from headway.service.service import ServiceDefinition

__all__ = ["ServiceApp", "asgi_app"]


def asgi_app(
    service: ServiceDefinition, *, config: str | Path | None = None
) -> "ServiceApp":
    """Return a service as an ASGI application, as in `uvicorn service:app`.

    Each process that starts it has a copy of every model.

    Args:
        service: What to serve.
        config: A configuration file; None: $HEADWAY_CONFIG, else headway.yaml in the
            current folder, if it is there.

    Raises:
        ConfigError: If a setting is wrong.
    """
    plan = describe(service)
    resolved = resolve(
        config_file=None if config is None else Path(config),
        service_dir=Path.cwd(),
        environ=os.environ,
        runner_options={runner.name: runner.options for runner in plan.runners},
        runner_methods={runner.name: list(runner.methods) for runner in plan.runners},
    )
    return ServiceApp(service=service, config=resolved)


class ServiceApp:
    """An ASGI application, started by its lifespan or by `async with`.

    Mounted in another application it needs the latter, as a mount hears of no lifespan.

    Args:
        service: What to serve.
        config: Its settings; those of the server itself, like `port`, have no effect.
    """

    def __init__(self, *, service: ServiceDefinition, config: ResolvedConfig) -> None:
        self._service = service
        self._config = config
        self._app: AsgiApp | None = None
        self._worker: ApiWorker | None = None
        self._registry: MetricsRegistry | None = None
        self._recorder: Recorder | None = None
        self._run_dir: RunDir | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or live through a lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
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
        loop = asyncio.get_running_loop()
        self._run_dir = RunDir.create()
        self._registry = open_registry(self._config, self._run_dir)
        clock = MonotonicClock()
        try:
            if self._config.config.api_server.live:
                recorder = make_recorder(self._service, self._run_dir, clock)
                self._recorder = recorder
                recorder.start()
            self._worker = build_embedded(
                service=self._service,
                config=self._config,
                listener=None,
                registry=self._registry,
                run_dir=self._run_dir,
                clock=clock,
                loop=loop,
            )
            await self._worker.start()
            await self._worker.wait_ready()
        except BaseException:
            await self._close()
            raise
        server = self._worker.server
        assert isinstance(server, AsgiServer)
        self._app = server.app
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Run the shutdown hooks and let the models go."""
        assert self._worker is not None
        try:
            settings = self._config.config.api_server
            await self._worker.drain(settings.shutdown_timeout_s)
        finally:
            await self._close()

    async def _close(self) -> None:
        self._app = None
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.aclose()
        if self._recorder is not None:
            await self._recorder.aclose()
        if self._registry is not None:
            self._registry.close()
        if self._run_dir is not None:
            self._run_dir.remove()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if await _told(self.__aenter__(), "startup", send):
            await receive()
            await _told(self.__aexit__(None, None, None), "shutdown", send)


async def _told(step: Awaitable[object], name: str, send: Send) -> bool:
    """Tell the ASGI server whether a step of the lifespan succeeds."""
    try:
        await step
    except HeadwayError as error:
        failed = {"type": f"lifespan.{name}.failed", "message": error.message}
        await send(failed)
        return False
    await send({"type": f"lifespan.{name}.complete"})
    return True
