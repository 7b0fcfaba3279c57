"""Two connected owners over each kind of channel."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from headway.errors import WireError
from headway.ipc.channel import Channel, ChannelOwner, LocalChannel
from headway.ipc.frames import LENGTH
from headway.ipc.unix import UnixLink, UnixListener
from headway.server.sockets import bind_unix

REFUSED = b"refuse me"
MEMORY_BYTES = 2**20
SHARE_FROM = 1000


def frame(body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 8)
    return LENGTH.pack(8 + len(padded)) + b"\x01\0\0\0" + padded


class Owner:
    """Records the callbacks of its channels."""

    def __init__(self) -> None:
        self.opened: list[Channel] = []
        self.views: list[memoryview] = []
        self.lost: list[tuple[Channel, Exception | None]] = []
        self._changed = asyncio.Event()

    @property
    def channel(self) -> Channel:
        return self.opened[-1]

    @property
    def frames(self) -> list[bytes]:
        return [bytes(view) for view in self.views]

    def channel_opened(self, channel: Channel) -> None:
        self.opened.append(channel)
        self._changed.set()

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        assert channel is self.channel
        if REFUSED in bytes(frame):
            raise WireError("no such frame")
        self.views.append(frame)
        self._changed.set()

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        self.lost.append((channel, error))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def listen(listening: socket.socket, owner: Callable[[], ChannelOwner]) -> UnixListener:
    listener = UnixListener(listening=listening, owner=owner)
    listener.start()
    return listener


@contextlib.asynccontextmanager
async def connected(kind: str, folder: Path) -> AsyncIterator[tuple[Owner, Owner]]:
    """Yield a client and a server that are connected."""
    client, server = Owner(), Owner()
    if kind == "local":
        LocalChannel.connect(client, server, asyncio.get_running_loop())
        yield client, server
        return
    path = str(folder / "s")
    listening = listen(bind_unix(path), lambda: server)
    link = UnixLink(
        path=path,
        owner=client,
        memory_bytes=MEMORY_BYTES if kind == "memory" else 0,
        share_from=SHARE_FROM,
    )
    link.start()
    await client.until(lambda: bool(client.opened))
    await server.until(lambda: bool(server.opened))
    try:
        yield client, server
    finally:
        await link.aclose()
        listening.close()
        await server.until(lambda: len(server.lost) == len(server.opened))
