"""A server that reacts to each request by its number in the order of arrival."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Peer", "Reaction", "Stall", "answer", "hang_up", "ignore"]

Reaction = Callable[[asyncio.Transport], None]
"""Reaction to a request on a connection."""


def answer(status: int, body: bytes = b"[0]") -> Reaction:
    """Answer in two writes, neither with a complete head."""

    def do(transport: asyncio.Transport) -> None:
        head = b"HTTP/1.1 %d Some Reason\r\nContent-Length: %d\r\n" % (
            status,
            len(body),
        )
        transport.write(head)
        transport.write(b"\r\n" + body)

    return do


def hang_up(transport: asyncio.Transport) -> None:
    """Close the connection without an answer."""
    transport.abort()


def ignore(transport: asyncio.Transport) -> None:
    """Never answer."""


class Stall:
    """Block the whole server for some seconds, then answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.began = self.over = 0.0

    def __call__(self, transport: asyncio.Transport) -> None:
        self.began = time.monotonic()
        time.sleep(self._seconds)
        self.over = time.monotonic()
        answer(200)(transport)


class Peer:
    """The server, in its own thread.

    Args:
        reactions: Reaction to the n-th request.
    """

    def __init__(self, reactions: Callable[[int], Reaction]) -> None:
        self._reactions = reactions
        self._ready = threading.Event()
        self.none_open: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.requests: list[bytes] = []
        self.open: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/predict"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, backlog=4096
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        self.none_open = self._loop.create_future()
        for transport in self.open:
            transport.abort()
        if self.open:
            await self.none_open

    def came(self, transport: asyncio.Transport, request: bytes) -> None:
        reaction = self._reactions(len(self.requests))
        self.requests.append(request)
        reaction(transport)


class _Connection(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer.open.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._peer.open.remove(self._transport)
        if self._peer.none_open is not None and not self._peer.open:
            self._peer.none_open.set_result(None)

    def data_received(self, data: bytes) -> None:
        # A request of a test is small, and there is one at a time.
        self._peer.came(self._transport, data)
