"""Channels over Unix sockets: what production runs on.

api/ connects, runner/ listens; the supervisor owns the listening sockets, so that a
connection to a runner that is starting again is never refused.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import cast

from headway.errors import WireError
from headway.payload.call import Buffer
from headway.transport.base import Channel, ChannelOwner
from headway.transport.framing import FrameCutter

__all__ = ["UnixChannel", "UnixLink", "listen_unix", "unix_socket"]

_log = logging.getLogger(__name__)

_SOCKET_BUFFER_BYTES = 4 * 2**20
"""A turn's frame should fit, so that a busy peer does not make the sender wait."""
_JOIN_BELOW_BYTES = 256 * 1024
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 1.0


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
        # What may be in flight is bounded by the senders' admission, not here.
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


class UnixLink:
    """Keeps a connection to a listening socket: connects anew when it is lost.

    The supervisor keeps the socket listening while the process behind it is started
    again, so that connecting succeeds at once and READY tells when it serves.

    Args:
        path: Of the socket.
        owner: Told of each connection in turn.
    """

    def __init__(self, *, path: str, owner: ChannelOwner) -> None:
        self._path = path
        self._owner = owner
        self._channel: UnixChannel | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_closed = False

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def aclose(self) -> None:
        """Disconnect for good."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._channel is not None:
            self._channel.close()

    def channel_opened(self, channel: Channel) -> None:
        """Pass it on."""
        self._owner.channel_opened(channel)

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Pass it on."""
        self._owner.frame_received(channel, frame)

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Pass it on, then connect anew."""
        self._channel = None
        self._owner.channel_lost(channel, error)
        if not self._is_closed:
            self.start()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = _FIRST_RETRY_S
        while True:
            connection = unix_socket()
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, self._path)
                _, self._channel = await loop.create_unix_connection(
                    lambda: UnixChannel(owner=self), sock=connection
                )
                return
            except OSError as error:
                # Nobody listens: the supervisor itself is on its way down.
                connection.close()
                _log.debug("cannot connect to %s: %s", self._path, error)
            except asyncio.CancelledError:
                connection.close()
                raise
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _LAST_RETRY_S)


async def listen_unix(
    listening: socket.socket, owner: Callable[[], ChannelOwner]
) -> asyncio.AbstractServer:
    """Accept connections on a listening socket; each gets an owner of its own."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(
        lambda: UnixChannel(owner=owner()), sock=listening
    )
