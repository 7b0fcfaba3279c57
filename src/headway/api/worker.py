"""An API worker: the HTTP server, the application and the links to the runners.

server/assembly builds it; server/process and server/embedded start, drain and close it.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from headway.api.admission import DeadlineWatch
from headway.api.runner_client import RunnerClient
from headway.api.thread_pool import ThreadPool
from headway.errors import StartError
from headway.http.asgi.stack import AsgiServer
from headway.http.server import HttpServer
from headway.service.context import Context, RequestInfo
from headway.service.service import Hook, ServiceDefinition

_log = logging.getLogger(__name__)
_CONNECT_S = 1.0
"""After that it listens all the same: /readyz reports that a runner is not up."""


class Part(Protocol):
    """Works beside the server, like the links to the runners."""

    def start(self) -> None:
        """Begin, before the server listens."""
        ...

    async def aclose(self) -> None:
        """End, once the server is closed."""
        ...


Server = HttpServer | AsgiServer


class ApiWorker:
    """Serves HTTP in one process.

    Args:
        service: Its hooks run.
        server: Serves the application.
        clients: One for each runner.
        parts: Begin before the server and end after it, like its links to runners.
        watch: Of the deadlines; it has a timer to stop.
        pool: Runs sync API functions.
        state: Shared by the contexts of this worker.
    """

    def __init__(
        self,
        *,
        service: ServiceDefinition,
        server: Server,
        clients: Sequence[RunnerClient],
        parts: Sequence[Part],
        watch: DeadlineWatch,
        pool: ThreadPool,
        state: dict[str, Any],
    ) -> None:
        self._service = service
        self.server = server
        self._clients = clients
        self._parts = parts
        self._watch = watch
        self._pool = pool
        self._state = state
        self.is_draining = False

    async def start(self) -> None:
        """Connect to the runners, run the start-up hooks, listen.

        Raises:
            StartError: If a hook raises.
        """
        for client, runner in zip(self._clients, self._service.runners, strict=True):
            runner.attach(client)
        for part in self._parts:
            part.start()
        for hook in self._service.startup_hooks:
            try:
                await self._run_hook(hook)
            except Exception as error:
                # A user's hook may raise anything.
                raise StartError(
                    f"the start-up hook {_name_of(hook)} raised "
                    f"{type(error).__name__}: {error}"
                ) from error
        # It takes a moment if the runners are up; no request is refused meanwhile.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                await self.wait_ready()
        await self.server.start()

    async def wait_ready(self) -> None:
        """Return once every runner is loaded and warm."""
        await asyncio.gather(*(client.wait_ready() for client in self._clients))

    async def drain(self, timeout_s: float) -> None:
        """Answer the accepted requests, take no new ones, run the shutdown hooks."""
        self.is_draining = True
        await self.server.drain(timeout_s)
        for hook in self._service.shutdown_hooks:
            try:
                await self._run_hook(hook)
            except Exception:  # noqa: BLE001 - a user's hook; the others run too
                _log.exception("the shutdown hook %s raised", _name_of(hook))

    async def aclose(self) -> None:
        """Drop the rest."""
        await self.server.aclose()
        for part in self._parts:
            await part.aclose()
        self._watch.close()
        self._pool.close()

    async def _run_hook(self, hook: Hook) -> None:
        request = RequestInfo(method="", path="", query="", headers={})
        context = Context(request=request, state=self._state)
        result = hook(context) if inspect.signature(hook).parameters else hook()
        if inspect.isawaitable(result):
            await result


def _name_of(hook: Hook) -> str:
    return repr(getattr(hook, "__name__", hook))
