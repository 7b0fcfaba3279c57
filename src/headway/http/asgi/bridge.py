"""Serves requests of the native server by an ASGI application.

server.assembly puts it before the API's own application if a service has mounts or
middleware. http.stream sends answers in pieces.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, cast

from headway.errors import HeadwayError
from headway.http.connection import Connection
from headway.http.request import Answer, Application, Request
from headway.http.stream import AnswerStream, Pairs

__all__ = [
    "TRACE_KEY",
    "AsgiApp",
    "AsgiBridge",
    "AsgiMessage",
    "Receive",
    "Scope",
    "Send",
    "path_below_root",
]

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
"""Since 2.4, sending to a disconnected client raises OSError."""

TRACE_KEY: Final = "headway.trace"
"""The scope's entry with the request's trace, for APIs behind middleware."""

_OWN_HEADERS = frozenset(
    {b"date", b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
"""Of the server and its connection: an application's are left out."""
_BREAKS = re.compile(rb"[\r\n\0]")


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
        exchange = _Exchange(request)
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

    async def _serve(self, exchange: "_Exchange", scope: Scope) -> None:
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


class _Exchange:
    """One request of an ASGI application, and its answer."""

    __slots__ = (
        "_connection",
        "_has_body",
        "_is_answered",
        "_over",
        "_start",
        "_stream",
        "request",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self._connection = cast("Connection", request.responder)
        self._has_body = True  # not yet received by the application
        self._start: tuple[int, Pairs] | None = None
        self._stream: AnswerStream | None = None
        self._is_answered = False
        self._over = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the client waits for an answer, or for the rest of it."""
        return not (self._is_answered or self.request.disconnected)

    def hang_up(self) -> None:
        """Let the application receive a disconnect; `Request.on_disconnect`."""
        self._over.set()
        if self._stream is not None:
            self._stream.wake()

    async def receive(self) -> AsgiMessage:
        """Return the body, which is complete, then the disconnect."""
        if self._has_body and self.is_open:
            self._has_body = False
            body = self.request.body
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: AsgiMessage) -> None:
        """Take a part of the answer, and wait while the client takes no more.

        Raises:
            OSError: The client is gone.
            RuntimeError: It is not the time for such a message.
            ValueError: A header holds a line break, or the body does not have the
                length that one says.
        """
        if self.request.disconnected:
            raise OSError("the client has hung up")
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            self._start = message["status"], _checked(message.get("headers", ()))
        elif kind == "http.response.body" and self._start and not self._is_answered:
            body = bytes(message.get("body", b""))
            await self._send(*self._start, body, more=message.get("more_body", False))
        else:
            raise RuntimeError(f"an ASGI message {kind!r} out of its turn")

    async def _send(
        self, status: int, headers: Pairs, body: bytes, *, more: bool
    ) -> None:
        if self._stream is None:
            if not more and not self._has_own_length(headers):
                self._is_answered = True
                self._respond(status, headers, body)
                self._over.set()
                return
            self._stream = AnswerStream(self._connection, self.request, status, headers)
        if more:
            self._stream.write(body)
            await self._stream.drain()
        else:
            self._stream.end(body)
            self._is_answered = True
            self._over.set()

    def _has_own_length(self, headers: Pairs) -> bool:
        """Return whether an answer to HEAD has the length of the omitted body."""
        return self.request.method == "HEAD" and any(
            name == b"content-length" for name, _ in headers
        )

    def _respond(self, status: int, headers: Pairs, body: bytes) -> None:
        content_type = b""
        others = []
        for name, value in headers:
            if name == b"content-type" and not content_type:
                content_type = value
            elif name != b"content-length":
                others.append((name, value))
        self.request.respond(status, content_type, body, tuple(others))

    def fail(self, answer: Answer) -> None:
        """Answer with an error, or if it is too late for that, drop the connection."""
        if self._stream is None:
            self.request.respond(*answer)
        else:
            self._stream.abort()


def _checked(headers: Any) -> Pairs:
    """Return the application's headers with names in lower case.

    Raises:
        ValueError: One holds a line break.
    """
    pairs = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    for name, value in pairs:
        if _BREAKS.search(name) or _BREAKS.search(value):
            raise ValueError(f"a response header holds a line break: {name!r}")
    return [(name, value) for name, value in pairs if name not in _OWN_HEADERS]


def path_below_root(scope: Scope) -> str:
    """Return the path below the mount of the application."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path
