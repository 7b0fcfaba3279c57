"""Accepts connections on a Unix socket: the handshake first, then a channel.

runner/server listens with it; ipc/unix connects.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

from headway.errors import WireError
from headway.ipc.channel import ChannelOwner
from headway.ipc.handshake import receive
from headway.ipc.unix import UnixChannel

__all__ = ["UnixListener"]

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


class UnixListener:
    """Makes channels of the connections to a listening socket.

    Args:
        listening: The socket; closed with the listener.
        owner: Gives each channel its owner.
    """

    def __init__(
        self, *, listening: socket.socket, owner: Callable[[], ChannelOwner]
    ) -> None:
        self._listening = listening
        self._owner = owner
        self._accepting: asyncio.Task[None] | None = None
        self._greeting: set[asyncio.Task[None]] = set()
        """One for each peer on its way in."""
        self._is_closed = False

    def start(self) -> None:
        """Accept connections from now on."""
        self._listening.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Accept no more; what is connected stays so."""
        self._is_closed = True
        if self._accepting is not None:
            self._accepting.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        with self._listening:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except OSError as error:
                    # Too many open files; the peer waits in the socket's queue.
                    _log.warning("cannot accept a connection: %s", error)
                    await asyncio.sleep(_RETRY_S)
                else:
                    greeting = loop.create_task(self._greet(connection))
                    self._greeting.add(greeting)
                    greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection.setblocking(False)
            arena = await receive(connection)
        except WireError as error:
            _log.warning("turned a peer away: %s", error)
            connection.close()
        except OSError:
            connection.close()  # it went away again
        except asyncio.CancelledError:
            connection.close()
            raise
        else:
            if self._is_closed:
                connection.close()
                return
            await loop.connect_accepted_socket(
                lambda: UnixChannel(owner=self._owner(), arena=arena), sock=connection
            )
