"""Channels over Unix sockets: what production runs on.

api/ connects, runner/ listens; the supervisor owns the listening sockets, so that a
connection to a runner that is starting again is never refused.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import cast

from headway.errors import WireError
from headway.ipc.arena import Arena
from headway.ipc.block_frame import BLOCK
from headway.ipc.call import Buffer
from headway.ipc.channel import Channel, ChannelOwner
from headway.ipc.frames import kind_of_frame
from headway.ipc.framing import FrameCutter
from headway.ipc.handshake import offer

__all__ = ["UnixChannel", "UnixLink", "unix_socket"]

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
        arena: Memory that it shares with its peer, for what is large.
    """

    def __init__(self, *, owner: ChannelOwner, arena: Arena | None = None) -> None:
        self._owner = owner
        self._arena = arena
        self._cutter = FrameCutter()
        self._transport: asyncio.WriteTransport | None = None
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the event loop."""
        self._transport = cast("asyncio.WriteTransport", transport)
        if self._arena is not None:
            self._loop = asyncio.get_running_loop()
            self._arena.tell = self._tell_soon
        # What may be in flight is bounded by the senders' admission, not here.
        self._owner.channel_opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass on whole frames; called by the event loop."""
        arena = self._arena
        try:
            for frame in self._cutter.feed(data):
                if arena is not None and kind_of_frame(frame) >= BLOCK:
                    self._memory_frame(arena, frame)
                else:
                    self._owner.frame_received(self, frame)
        except WireError as error:
            self._error = error
            if self._transport is not None:
                self._transport.abort()

    def _memory_frame(self, arena: Arena, frame: memoryview) -> None:
        """Pass on the frames of a block, or free what the peer has read."""
        if kind_of_frame(frame) == BLOCK:
            for inner in arena.frames(frame):
                self._owner.frame_received(self, inner)
        else:
            arena.take_back(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; called by the event loop."""
        # The memory goes with the connection, as soon as nobody has a frame in it.
        self._transport = self._arena = None
        error, self._error = self._error or exc, None
        self._owner.channel_lost(self, error)

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames."""
        transport = self._transport
        if transport is None:
            return
        nbytes = sum(map(len, buffers))
        arena = self._arena
        if arena is not None and (nbytes >= arena.share_from or arena.unused):
            buffers = arena.pack(buffers, nbytes)
            nbytes = sum(map(len, buffers))
        if nbytes < _JOIN_BELOW_BYTES:
            transport.write(b"".join(buffers))
        else:
            transport.writelines(buffers)

    def close(self) -> None:
        """Send what was given, then close."""
        if self._transport is not None:
            self._transport.close()

    def _tell_soon(self) -> None:
        """Have the peer told of unused memory; called by whatever thread."""
        if self._transport is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        if self._arena is not None and self._arena.unused:
            self.send(())


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
        memory_bytes: To share with the peer, for each direction; 0 for none.
        share_from: Bytes from which a write goes through that memory.
    """

    def __init__(
        self,
        *,
        path: str,
        owner: ChannelOwner,
        memory_bytes: int = 0,
        share_from: int = 0,
    ) -> None:
        self._path = path
        self._owner = owner
        self._memory_bytes = memory_bytes
        self._share_from = share_from
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

    def _offer(self, connection: socket.socket) -> Arena | None:
        return offer(
            connection, half_bytes=self._memory_bytes, share_from=self._share_from
        )

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = _FIRST_RETRY_S
        while True:
            connection = unix_socket()
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, self._path)
                _, self._channel = await loop.create_unix_connection(
                    partial(UnixChannel, owner=self, arena=self._offer(connection)),
                    sock=connection,
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
