"""Channels over Unix sockets: what production runs on.

api/ connects, runner/ listens; the supervisor owns the listening sockets, so that a
connection to a runner that is starting again is never refused.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import cast

from headway.errors import WireError
from headway.payload.call import Buffer
from headway.transport.base import ChannelOwner
from headway.transport.framing import FrameCutter

__all__ = ["UnixChannel", "connect_unix", "listen_unix", "unix_socket"]

_SOCKET_BUFFER_BYTES = 4 * 2**20
"""A turn's frame should fit, so that a busy peer does not make the sender wait."""
_JOIN_BELOW_BYTES = 256 * 1024


class UnixChannel(asyncio.Protocol):
    """One end of a connection.

    Args:
        owner: Told of frames and of the end.
    """

    def __init__(self, *, owner: ChannelOwner) -> None:
        self._owner = owner
        self._cutter = FrameCutter()
        self._transport: asyncio.WriteTransport | None = None
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the event loop."""
        self._transport = cast("asyncio.WriteTransport", transport)
        # Bounds are in rows and bytes at the sender's admission, not here.
        self._transport.set_write_buffer_limits(high=2**31)
        self._owner.channel_opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass on whole frames; called by the event loop."""
        try:
            for frame in self._cutter.feed(data):
                self._owner.frame_received(self, frame)
        except WireError as error:
            self._error = error
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; called by the event loop."""
        self._transport = None
        self._owner.channel_lost(self, self._error or exc)

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames."""
        transport = self._transport
        if transport is None:
            return
        if sum(map(len, buffers)) < _JOIN_BELOW_BYTES:
            transport.write(b"".join(buffers))
        else:
            transport.writelines(buffers)

    def close(self) -> None:
        """Send what was given, then close."""
        if self._transport is not None:
            self._transport.close()


def unix_socket() -> socket.socket:
    """Return a Unix socket with large buffers."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        made.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    return made


async def connect_unix(path: str, owner: ChannelOwner) -> UnixChannel:
    """Connect to a listening socket.

    Raises:
        OSError: If nobody listens there.
    """
    loop = asyncio.get_running_loop()
    connection = unix_socket()
    connection.setblocking(False)
    try:
        await loop.sock_connect(connection, path)
        _, channel = await loop.create_unix_connection(
            lambda: UnixChannel(owner=owner), sock=connection
        )
    except BaseException:
        connection.close()
        raise
    return channel


async def listen_unix(
    listening: socket.socket, owner: Callable[[], ChannelOwner]
) -> asyncio.AbstractServer:
    """Accept connections on a listening socket; each gets an owner of its own."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(
        lambda: UnixChannel(owner=owner()), sock=listening
    )
