"""Listens on sockets, owns the connections and the one timer, drains.

Built in `assemble`, started by `api.worker`; calls `http.protocol`.
"""

import asyncio
import ctypes
import select
import socket
import ssl
import struct
from collections.abc import Sequence

from headway.core.clock import Clock
from headway.http.balancer import ConnectionBalancer
from headway.http.head import HeadCache
from headway.http.limits import HttpLimits
from headway.http.protocol import Edge, HttpProtocol
from headway.http.request import Application
from headway.http.response import ResponseHeads

__all__ = ["HttpServer"]

_SWEEP_S = 1.0
_SO_ATTACH_FILTER = 26  # Linux; Python's socket module names neither
_SO_DETACH_FILTER = 27
_ACCEPT_TURNS = 1000
_SETTLE_TURNS = 8
"""Turns of the loop from a readable socket to data_received; asyncio takes six."""


class HttpServer:
    """An HTTP/1.1 server on sockets that are bound already.

    Args:
        application: What handles the requests.
        limits: What one connection may cost.
        clock: The time for all time-outs.
        sockets: Bound stream sockets; the server listens on and closes them.
        ssl_context: Serve TLS with it, if given.
        backlog: Connections that the kernel keeps until they are accepted.
        neighbours: Connections are moved to and from them, if given; not with TLS,
            whose state is in this process.
    """

    def __init__(
        self,
        *,
        application: Application,
        limits: HttpLimits,
        clock: Clock,
        sockets: Sequence[socket.socket],
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = 2048,
        neighbours: ConnectionBalancer | None = None,
    ) -> None:
        self._clock = clock
        self._sockets = list(sockets)
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._neighbours = neighbours
        self._handshake_timeout_s = (
            None if ssl_context is None else limits.request_timeout_s
        )
        self._responses = ResponseHeads()
        self._connections: set[HttpProtocol] = set()
        self._empty = asyncio.Event()
        self._servers: list[asyncio.AbstractServer] = []
        self._timer: asyncio.TimerHandle | None = None
        self._drain_until: float | None = None
        self._sweep_s = min(
            _SWEEP_S, limits.request_timeout_s / 4, limits.keep_alive_timeout_s / 4
        )
        self._edge = Edge(
            application=application,
            limits=limits,
            heads=HeadCache(limits),
            responses=self._responses,
            now=clock.now,
            connections=self._connections,
            on_empty=self._empty.set,
        )

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            OSError: A socket cannot listen, or the neighbours not be reached.
        """
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            listener.setblocking(False)
            _take_handshakes(listener)
            self._servers.append(
                await loop.create_server(
                    lambda: HttpProtocol(self._edge),
                    sock=listener,
                    ssl=self._ssl_context,
                    backlog=self._backlog,
                    ssl_handshake_timeout=self._handshake_timeout_s,
                )
            )
        if self._neighbours is not None:
            self._neighbours.start(self._edge)
        self._sweep_later()

    async def drain(self, timeout_s: float) -> None:
        """Finish: take in what the kernel has accepted, answer all, close all.

        Returns when no connection is left; those that are not done after
        `timeout_s` are dropped.
        """
        if self._neighbours is not None:
            await self._neighbours.aclose()
        await self._stop_listening()
        self._drain_until = self._clock.now() + timeout_s
        self._responses.close_connections()
        # Requests that the kernel has received are read, and so not lost.
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
        now = self._clock.now()
        for connection in list(self._connections):
            connection.close_if_idle(now)
        await self._wait_until_empty()

    async def aclose(self) -> None:
        """Drop every connection and stop; after `drain` nothing is left to drop."""
        if self._neighbours is not None:
            await self._neighbours.aclose()
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._connections):
            connection.abort()
        await self._wait_until_empty()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sweep(self) -> None:
        """Refuse or close what took too long; the server's timer calls it."""
        self._responses.tick()
        now = self._clock.now()
        is_late = self._drain_until is not None and now >= self._drain_until
        for connection in list(self._connections):
            if is_late:
                connection.abort()
            else:
                connection.sweep(now)

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._sweep_s, self._on_timer)

    def _on_timer(self) -> None:
        self._sweep_later()
        self.sweep()

    async def _wait_until_empty(self) -> None:
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    async def _stop_listening(self) -> None:
        """Close the listeners without losing a connection that the kernel holds.

        The kernel completes handshakes on its own, so a listener is first made deaf
        to new ones; then its queue can only shrink.
        """
        for listener in self._sockets:
            _refuse_handshakes(listener)
        poll = select.poll()
        for listener in self._sockets:
            if listener.fileno() >= 0:
                poll.register(listener, select.POLLIN)
        for _ in range(_ACCEPT_TURNS):
            if not poll.poll(0):
                break
            await asyncio.sleep(0)
        for _ in range(_SETTLE_TURNS):  # until the accepted are among the connections
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        self._servers.clear()


def _refuse_handshakes(listener: socket.socket) -> None:
    """Drop all packets that come to a listening socket; its queue stays.

    A client whose packet was dropped sends it again, to another worker on the port
    or to a closed port. Elsewhere than on Linux a few connections can be reset.
    """
    # struct sock_fprog with the one instruction `ret 0`, which keeps no byte.
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return


def _take_handshakes(listener: socket.socket) -> None:
    """Undo `_refuse_handshakes` of a process that had this socket before and ended."""
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
    except OSError:
        return  # there is none
