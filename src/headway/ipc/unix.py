"""Channels over Unix sockets: production runs on them.

API workers and replicas connect by a UnixLink, runners listen by a UnixListener. The
supervisor owns the listening sockets, so that a connection to a restarting runner is
never refused.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from headway.errors import WireError
from headway.ipc.channel import ChannelOwner
from headway.ipc.frames import BLOCK, Buffer, FrameCutter, kind_of_frame, whole_frames
from headway.ipc.shared_memory import SharedMemory, accept, offer

_log = logging.getLogger(__name__)

_SOCKET_BUFFER_BYTES = 4 * 2**20
"""One turn's frame should fit, so that a busy peer does not block the sender."""
_JOIN_BELOW_BYTES = 256 * 1024
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 1.0


class UnixChannel(asyncio.Protocol):
    """One end of a connection.

    Args:
        owner: Receives the callbacks.
        memory: Shared with the peer, for large frames.
        lost: Called after the owner's `channel_lost`.
    """

    def __init__(
        self,
        *,
        owner: ChannelOwner,
        memory: SharedMemory | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        self._owner = owner
        self._memory = memory
        self._lost = lost
        self._cutter = FrameCutter()
        self._transport: asyncio.WriteTransport | None = None
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the event loop."""
        self._transport = cast("asyncio.WriteTransport", transport)
        if self._memory is not None:
            self._loop = asyncio.get_running_loop()
            self._memory.notify = self._send_unused_soon
        # The senders' admission bounds what is in flight, not this channel.
        self._owner.channel_opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass on whole frames; called by the event loop."""
        memory = self._memory
        try:
            for frame in self._cutter.feed(data):
                kind = kind_of_frame(frame)
                if memory is None or kind < BLOCK:
                    self._owner.frame_received(self, frame)
                elif kind == BLOCK:
                    for inner in whole_frames(memory.block(frame)):
                        self._owner.frame_received(self, inner)
                else:
                    memory.free(frame)
        except WireError as error:
            self._error = error
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; called by the event loop."""
        # The memory goes with the connection, as soon as no frame in it is used.
        self._transport = self._memory = None
        error, self._error = self._error or exc, None
        self._owner.channel_lost(self, error)
        if self._lost is not None:
            self._lost()

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames."""
        transport = self._transport
        if transport is None:
            return
        nbytes = sum(map(len, buffers))
        memory = self._memory
        if memory is not None and (nbytes >= memory.share_from or memory.unused):
            buffers = memory.pack(buffers, nbytes)
            nbytes = sum(map(len, buffers))
        if nbytes < _JOIN_BELOW_BYTES:
            transport.write(b"".join(buffers))
        else:
            transport.writelines(buffers)

    def close(self) -> None:
        """Send everything given so far, then close."""
        if self._transport is not None:
            self._transport.close()

    def _send_unused_soon(self) -> None:
        """Report unused memory to the peer in the next turn; called from any thread."""
        if self._transport is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_unused)

    def _send_unused(self) -> None:
        if self._memory is not None and self._memory.unused:
            self.send(())


def unix_socket() -> socket.socket:
    """Return a Unix socket with large buffers."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        made.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    return made


class UnixLink:
    """Keeps a connection to a listening socket: connects again when it is lost.

    The supervisor keeps the socket listening while it restarts the process behind it,
    so that connecting succeeds at once; READY comes when the process serves.

    Args:
        path: Of the socket.
        owner: Of each connection in turn.
        memory_bytes: Shared with the peer, for each direction; 0 for none.
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
        if not self._is_closed:
            loop = asyncio.get_running_loop()
            self._connecting = loop.create_task(self._connect())

    async def aclose(self) -> None:
        """Disconnect for good."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._channel is not None:
            self._channel.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = _FIRST_RETRY_S
        while True:
            connection = unix_socket()
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, self._path)
                memory = offer(
                    connection,
                    half_bytes=self._memory_bytes,
                    share_from=self._share_from,
                )
                channel = partial(
                    UnixChannel, owner=self._owner, memory=memory, lost=self.start
                )
                _, self._channel = await loop.create_unix_connection(
                    channel, sock=connection
                )
                return
            except OSError as error:
                # Nothing listens: the supervisor itself is stopping.
                connection.close()
                _log.debug("cannot connect to %s: %s", self._path, error)
            except asyncio.CancelledError:
                connection.close()
                raise
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _LAST_RETRY_S)


class UnixListener:
    """Accepts connections to a listening socket as channels.

    Args:
        listening: The socket; closed with the listener.
        owner: Returns the owner of each channel.
    """

    def __init__(
        self, *, listening: socket.socket, owner: Callable[[], ChannelOwner]
    ) -> None:
        self._listening = listening
        self._owner = owner
        self._accepting: asyncio.Task[None] | None = None
        self._greeting: set[asyncio.Task[None]] = set()
        """One for each accepted connection that is not a channel yet."""
        self.channels: set[UnixChannel] = set()
        """Those that are open."""
        self._is_deserted = asyncio.Event()
        self._is_deserted.set()
        self._is_closed = False

    def start(self) -> None:
        """Accept connections from now on."""
        self._listening.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Accept no more; existing connections stay."""
        self._is_closed = True
        if self._accepting is not None:
            self._accepting.cancel()

    async def wait_deserted(self) -> None:
        """Return once no channel is open."""
        await self._is_deserted.wait()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        with self._listening:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except OSError as error:
                    # Too many open files; the peer waits in the socket's queue.
                    _log.warning("cannot accept a connection: %s", error)
                    await asyncio.sleep(_LAST_RETRY_S)
                else:
                    greeting = loop.create_task(self._greet(connection))
                    self._greeting.add(greeting)
                    greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        try:
            memory = await accept(connection)
        except (OSError, WireError) as error:
            if isinstance(error, WireError):
                _log.warning("refused a peer: %s", error)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        else:
            if self._is_closed:
                connection.close()
                return
            channel = UnixChannel(
                owner=self._owner(), memory=memory, lost=lambda: self._lost(channel)
            )
            self.channels.add(channel)
            self._is_deserted.clear()
            await loop.connect_accepted_socket(lambda: channel, sock=connection)

    def _lost(self, channel: UnixChannel) -> None:
        self.channels.discard(channel)
        if not self.channels:
            self._is_deserted.set()
