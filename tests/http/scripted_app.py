"""An ASGI application on a native server, whose requests a test answers itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from headway.config.schema import ApiServerConfig
from headway.http.asgi.bridge import AsgiApp, AsgiBridge, Receive, Scope, Send
from tests.http.edge import Client, Edge, serving

HEADERS = [(b"Content-Type", b"text/plain")]


class ScriptedApp:
    """Queues each request for the test, which answers it by a ScriptedRequest."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[ScriptedRequest] = asyncio.Queue(maxsize=9)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = ScriptedRequest(scope, receive, send)
        await self.requests.put(call)
        await call.ended.wait()
        if call.error is not None:
            raise call.error


class ScriptedRequest:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.ended = asyncio.Event()
        self.error: Exception | None = None

    async def start(
        self, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        pairs = HEADERS if headers is None else headers
        await self.send(
            {"type": "http.response.start", "status": status, "headers": pairs}
        )

    async def piece(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def last(self, body: bytes = b"") -> None:
        await self.send({"type": "http.response.body", "body": body})

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended.set()


@asynccontextmanager
async def serving_app(
    app: AsgiApp | None = None, config: ApiServerConfig | None = None, **options: Any
) -> AsyncIterator[tuple[Edge, ScriptedApp]]:
    """Serve all but /native by an ASGI application."""
    scripted = ScriptedApp()
    async with serving(
        config,
        wrap=lambda native: AsgiBridge(
            app=app or scripted,
            native=native,
            is_native=lambda path: path.startswith("/native"),
            state={"kept": 1},
            loop=asyncio.get_running_loop(),
        ),
        **options,
    ) as edge:
        yield edge, scripted


@asynccontextmanager
async def calling(
    data: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
) -> AsyncIterator[tuple[Client, ScriptedRequest]]:
    """Serve, with one client, whose request the application has received."""
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(data)
        call = await app.requests.get()
        yield client, call
        call.end()


async def chunk(client: Client) -> bytes:
    size = int(await client.reader.readuntil(b"\r\n"), 16)
    return (await client.reader.readexactly(size + 2))[:-2]
