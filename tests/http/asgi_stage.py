"""An ASGI application whose requests are acted by the test, on a native server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from headway.config.schema import ApiServerConfig
from headway.http.asgi.bridge import AsgiApp, AsgiBridge, Receive, Scope, Send
from tests.http.edge import Client, Edge, serving

HEADERS = [(b"Content-Type", b"text/plain")]


class Stage:
    """An application whose every request is acted by the test."""

    def __init__(self) -> None:
        self.acts: asyncio.Queue[Act] = asyncio.Queue(maxsize=9)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        act = Act(scope, receive, send)
        await self.acts.put(act)
        await act.ended.wait()
        if act.error is not None:
            raise act.error


class Act:
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
async def staged(
    app: AsgiApp | None = None, config: ApiServerConfig | None = None, **options: Any
) -> AsyncIterator[tuple[Edge, Stage]]:
    """Serve all but /native by an ASGI application."""
    stage = Stage()
    async with serving(
        config,
        wrap=lambda native: AsgiBridge(
            app=app or stage,
            native=native,
            is_native=lambda path: path.startswith("/native"),
            state={"kept": 1},
            loop=asyncio.get_running_loop(),
        ),
        **options,
    ) as edge:
        yield edge, stage


async def chunk(client: Client) -> bytes:
    size = int(await client.reader.readuntil(b"\r\n"), 16)
    return (await client.reader.readexactly(size + 2))[:-2]
