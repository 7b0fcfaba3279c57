"""Serves requests of the native server by an ASGI application.

server/assembly puts it before the API's own application if a service has mounts or
middleware. http/asgi/exchange sends the answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, cast

from headway.errors import HeadwayError
from headway.http.asgi.exchange import AsgiExchange, AsgiMessage
from headway.http.connection import Connection
from headway.http.request import Answer, Application, Request

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
"""Since 2.4, sending to a disconnected client raises OSError."""

TRACE_KEY: Final = "headway.trace"
"""The scope's entry with the request's trace, for APIs behind middleware."""


class AsgiBridge:
    """An application of the native server that hands requests to an ASGI one.

    Args:
        app: The ASGI application.
        native: Serves the other requests, and renders errors.
        is_native: Whether a path is served by `native`.
        state: The state of the application's lifespan, for its requests.
        loop: Runs the application.
    """

    def __init__(
        self,
        *,
        app: AsgiApp,
        native: Application,
        is_native: Callable[[str], bool],
        state: Mapping[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._app = app
        self._native = native
        self._is_native = is_native
        self._state = state
        self._loop = loop
        self._serving: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> None:
        """Serve a request: it is answered now or later."""
        if self._is_native(request.path):
            self._native.handle(request)
            return
        exchange = AsgiExchange(request)
        request.on_disconnect = exchange.hang_up
        task = self._loop.create_task(self._serve(exchange, self._scope(request)))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the HTTP protocol itself."""
        return self._native.reject(error, request)

    def _scope(self, request: Request) -> dict[str, Any]:
        transport = cast("Connection", request.responder).transport
        assert transport is not None, "a request just arrived"
        info = transport.get_extra_info
        client, server = info("peername"), info("sockname")
        scope = {
            "type": "http",
            "asgi": dict(_ASGI),
            "http_version": "1.1" if request.head.is_http_11 else "1.0",
            "method": request.method,
            "scheme": "http" if info("sslcontext") is None else "https",
            "path": request.path,
            "raw_path": request.head.raw_path,
            "query_string": request.query.encode("latin-1"),
            "root_path": "",
            "headers": list(request.headers),
            "client": client and client[:2],
            "server": server and server[:2],
            "state": dict(self._state),
        }
        if request.trace is not None:
            scope[TRACE_KEY] = request.trace
        return scope

    async def _serve(self, exchange: AsgiExchange, scope: Scope) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
            if exchange.is_open:
                raise RuntimeError("the ASGI application returned without an answer")
        except Exception:  # noqa: BLE001 - a user's application may raise anything
            if exchange.is_open:
                _log.exception("the ASGI application failed at %s", scope["path"])
                error = HeadwayError("the application failed; the log says why")
                exchange.fail(self._native.reject(error, exchange.request))
            else:
                _log.debug("the ASGI application failed, unheard", exc_info=True)


def path_below_root(scope: Scope) -> str:
    """Return the path below the mount of the application."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path
