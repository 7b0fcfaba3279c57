"""A service's middleware around its APIs and mounts, run as one ASGI application.

server/assembly makes it for a service that has any, and for `headway.asgi_app`.
Starlette routes between mounts; API workers without mounts never import it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from headway.errors import StartError
from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send, path_below_root
from headway.http.asgi.exchange import AsgiMessage
from headway.http.server import HttpServer
from headway.service.service import Middleware, Mount

_log = logging.getLogger(__name__)
_DROP_S = 5.0
"""Seconds in which an application must end once it is cancelled."""


class Lifespan:
    """The lifespan of one application, which may not support the protocol.

    Args:
        app: The application.
        name: Its name in messages.

    Attributes:
        state: The application's, for its requests.
    """

    def __init__(self, app: AsgiApp, name: str) -> None:
        self._app = app
        self._name = name
        self._messages: asyncio.Queue[AsgiMessage]
        self._reply: asyncio.Future[AsgiMessage] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_up = False
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Let the application start; it may do so again after it has ended.

        Raises:
            StartError: The application reports a failure.
        """
        self.state.clear()
        self._messages = asyncio.Queue(maxsize=2)
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            reply = await self._ask("lifespan.startup")
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if reply is None:
            _log.info("%s has no start-up of its own", self._name)
        elif reply["type"] == "lifespan.startup.failed":
            await self.aclose()
            message = reply.get("message") or "it does not say why"
            _log.error("%s cannot start: %s", self._name, message)
            # Of a traceback the last line says it.
            _, _, reason = message.rstrip().rpartition("\n")
            raise StartError(f"{self._name} cannot start: {reason}")
        self._is_up = reply is not None

    async def shutdown(self, timeout_s: float | None = None) -> None:
        """Let the application end, within a time."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._ask("lifespan.shutdown")
        except TimeoutError:
            _log.warning("%s has not ended within %g s", self._name, timeout_s)
        else:
            if reply is not None and reply["type"] == "lifespan.shutdown.failed":
                message = reply.get("message") or "it does not say why"
                _log.error("%s has failed to end: %s", self._name, message)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Cancel the application."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=_DROP_S)
            if not self._task.done():
                _log.warning("%s ignores its cancellation: left behind", self._name)

    async def _ask(self, kind: str) -> AsgiMessage | None:
        """Send a message and return the reply; None if the application has ended.

        At start-up, an application without a lifespan ends.
        """
        task = self._task
        if task is None or task.done():
            return None
        self._reply = asyncio.get_running_loop().create_future()
        self._messages.put_nowait({"type": kind})
        await asyncio.wait((self._reply, task), return_when=asyncio.FIRST_COMPLETED)
        return self._reply.result() if self._reply.done() else None

    async def _send(self, message: AsgiMessage) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(message)

    async def _run(self) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception:  # noqa: BLE001 - a user's application may raise anything
            level = logging.ERROR if self._is_up else logging.DEBUG
            _log.log(level, "%s: its lifespan raised", self._name, exc_info=True)


class AsgiStack:
    """Serves ASGI requests: the APIs' own paths first, then the mounts'.

    Args:
        middleware: The first is the outermost.
        mounts: The first that matches a path serves it.
        apis: Serves the rest, with 404 for unknown paths.
        is_own: Whether a path is an API's or a page's.
    """

    def __init__(
        self,
        *,
        middleware: Sequence[Middleware],
        mounts: Sequence[Mount],
        apis: AsgiApp,
        is_own: Callable[[str], bool],
    ) -> None:
        self._apis = apis
        self._is_own = is_own
        self._mounted = [_Mounted(mount) for mount in mounts]
        self._others = apis
        if mounts:
            from starlette.routing import Mount as Route
            from starlette.routing import Router

            self._others = Router(
                [Route(m.mount.path, app=m, name=m.mount.name) for m in self._mounted],
                default=apis,
            )
        self._outermost: AsgiApp = self._serve
        for layer in reversed(middleware):
            self._outermost = layer.factory(
                self._outermost, *layer.args, **layer.options
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or run a lifespan."""
        await self._outermost(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._is_own(path_below_root(scope)):
            await self._apis(scope, receive, send)
        else:
            await self._others(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as living:
            try:
                for mounted in self._mounted:
                    await mounted.lifespan.startup()
                    living.push_async_callback(mounted.lifespan.shutdown)
            except StartError as error:
                message = error.message
                await send({"type": "lifespan.startup.failed", "message": message})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class _Mounted:
    """A mounted application; its requests get the state of its own lifespan."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        name = f"the application mounted at {mount.path!r}"
        self.lifespan = Lifespan(mount.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        state = {**scope.get("state", {}), **self.lifespan.state}
        await self.mount.app({**scope, "state": state}, receive, send)


class AsgiServer:
    """Starts the application before the server, and ends it after.

    Args:
        app: The application.
        lifespan: Its own.
        native: Serves it; None: another ASGI server does.
    """

    def __init__(
        self, *, app: AsgiApp, lifespan: Lifespan, native: HttpServer | None
    ) -> None:
        self.app = app
        self._lifespan = lifespan
        self._native = native

    async def start(self) -> None:
        """Start the application, then listen.

        Raises:
            StartError: The application reports that it cannot start.
        """
        await self._lifespan.startup()
        if self._native is not None:
            await self._native.start()

    async def drain(self, timeout_s: float) -> None:
        """Answer what was accepted, then let the application end."""
        if self._native is not None:
            await self._native.drain(timeout_s)
        await self._lifespan.shutdown(timeout_s)

    async def aclose(self) -> None:
        """Drop what is left."""
        if self._native is not None:
            await self._native.aclose()
        await self._lifespan.aclose()
