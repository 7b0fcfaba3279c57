"""The HTTP server of one process: accepts connections, times them out, drains.

Built by server/assembly, started by api/worker; makes a Connection for each
connection.
"""

import asyncio
import contextlib
import functools
import logging
import math
import socket
import ssl

from headway.config.schema import ApiServerConfig
from headway.core.clock import Clock
from headway.errors import ConfigError
from headway.http.balancer import ConnectionBalancer
from headway.http.connection import Connection
from headway.http.request import Application
from headway.http.server_state import LINGER_S, ServerState

_log = logging.getLogger(__name__)
_SWEEP_S = 1.0
_ACCEPTED_AT_ONCE = 8
_ABSTAIN_S = 0.001
_MAX_ABSTENTIONS = 4
"""In a row. A connection that no other worker took meanwhile is accepted."""
_NO_DESCRIPTOR_S = 1.0
"""Pause after a failure to accept: there is no descriptor or memory to spare."""
_SETTLE_TURNS = 8
"""Turns of the loop from a readable socket to data_received; asyncio takes six."""


class HttpServer:
    """An HTTP/1.1 server on a socket that is bound already.

    Other processes may accept from the same socket. No connection belongs to a process
    before it is accepted, so a dead, hung or draining process delays none.

    Args:
        application: What handles the requests.
        config: Limits, time-outs and the backlog.
        clock: The time for all time-outs.
        listener: A bound stream socket; the server listens on it and closes it.
        ssl_context: Serve TLS with it, if given.
        balancer: Shares the load with other processes on the socket, if given.
    """

    def __init__(
        self,
        *,
        application: Application,
        config: ApiServerConfig,
        clock: Clock,
        listener: socket.socket,
        ssl_context: ssl.SSLContext | None = None,
        balancer: ConnectionBalancer | None = None,
    ) -> None:
        self._clock = clock
        self._listener = listener
        self._ssl_context = ssl_context
        self._backlog = config.backlog
        self._balancer = balancer
        self._handshake_timeout_s = (
            None if ssl_context is None else config.request_timeout_s
        )
        self._empty = asyncio.Event()
        self._accepting: set[asyncio.Task[None]] = set()  # until connection_made
        self._abstentions = 0
        self._resume: asyncio.TimerHandle | None = None  # of a pause in accepting
        self._timer: asyncio.TimerHandle | None = None
        self._drain_until = math.inf
        self._sweep_s = min(
            _SWEEP_S, config.request_timeout_s / 4, config.keep_alive_timeout_s / 4
        )
        self._state = ServerState(
            application=application,
            config=config,
            now=clock.now,
            on_close=self._count_connections,
        )
        self._connections: set[Connection] = self._state.connections

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            OSError: The socket cannot listen, or the balancer not start.
        """
        if self._balancer is not None:
            adopt = functools.partial(self._adopt, moved=True)
            self._balancer.start(self._state, adopt)
        self._listener.setblocking(False)
        self._listener.listen(self._backlog)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        self._on_timer()

    async def drain(self, timeout_s: float) -> None:
        """Finish: accept what the kernel has queued, answer all, close all.

        Returns when no connection is left; those that are not done after
        `timeout_s` are dropped. The last process to drain a socket loses no connection
        if the socket's owner has called `refuse_handshakes` before.
        """
        if self._balancer is not None:
            await self._balancer.aclose()
        self._stop_accepting()
        with contextlib.suppress(OSError):
            for _ in range(self._backlog):
                if not self._accept_one():
                    break
                await asyncio.sleep(0)
        self._listener.close()
        self._drain_until = self._clock.now() + timeout_s
        self._state.responses.close_connections()
        if self._accepting:
            await asyncio.wait(self._accepting, timeout=LINGER_S)
        # Requests that the kernel has received are read, and so not lost.
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
        now = self._clock.now()
        for connection in list(self._connections):
            connection.sweep(now)
        await self._wait_until_empty()

    async def aclose(self) -> None:
        """Drop every connection and stop; after `drain` nothing is left to drop."""
        if self._balancer is not None:
            await self._balancer.aclose()
        self._stop_accepting()
        self._listener.close()
        if self._ssl_context is not None:
            for task in self._accepting:
                task.cancel()  # it is in a handshake
        if self._accepting:
            await asyncio.wait(self._accepting)
        for connection in list(self._connections):
            connection.abort()
        await self._wait_until_empty()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sweep(self) -> None:
        """Refuse or close what took too long; the server's timer calls it."""
        self._state.responses.tick()
        now = self._clock.now()
        is_late = now >= self._drain_until
        for connection in list(self._connections):
            if is_late:
                connection.abort()
            else:
                connection.sweep(now)

    def _on_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._sweep_s, self._on_timer)
        self.sweep()

    async def _wait_until_empty(self) -> None:
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    # --- accepting

    def _accept(self) -> None:
        """Accept connections, or leave them to other workers; the loop calls this.

        uvloop's own server accepts all that wait at once, and so cannot abstain.
        """
        balancer = self._balancer
        for _ in range(_ACCEPTED_AT_ONCE):
            if (
                balancer is not None
                and self._abstentions < _MAX_ABSTENTIONS
                and not balancer.may_accept()
            ):
                self._abstentions += 1
                self._pause(_ABSTAIN_S)
                return
            try:
                if not self._accept_one():
                    break
            except OSError as error:
                _log.error("no connection is accepted for a second: %s", error)
                self._pause(_NO_DESCRIPTOR_S)
                break
        self._abstentions = 0

    def _accept_one(self) -> bool:
        """Accept a connection if there is one, and return whether there was.

        Raises:
            OSError: There is no descriptor or memory to spare.
        """
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionError:
            return True  # it ended before it was accepted
        connection.setblocking(False)
        self._adopt(connection)
        return True

    def _adopt(self, connection: socket.socket, *, moved: bool = False) -> None:
        """Serve a connection, a new one or a moved one."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._connect(connection, moved))
        self._accepting.add(task)
        self._count_connections()
        task.add_done_callback(self._on_connected)

    def _on_connected(self, task: asyncio.Task[None]) -> None:
        self._accepting.discard(task)
        self._count_connections()

    async def _connect(self, connection: socket.socket, moved: bool) -> None:
        made = Connection(self._state)
        if moved:  # it goes on where another worker stopped
            made.has_answered = True
            made.moved_here_at = self._clock.now()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: made,
                connection,
                ssl=self._ssl_context,
                ssl_handshake_timeout=self._handshake_timeout_s,
            )
        except OSError as error:
            connection.close()
            _log.debug("a connection ended before its first request: %s", error)

    def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._resume = loop.call_later(seconds, self._continue)

    def _continue(self) -> None:
        """Accept again after a pause."""
        self._resume = None
        loop = asyncio.get_running_loop()
        loop.add_reader(self._listener, self._accept)
        self._accept()

    def _stop_accepting(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)

    def _count_connections(self) -> None:
        """Note that a connection was opened or closed."""
        if self._balancer is not None:
            count = len(self._connections) + len(self._accepting)
            self._balancer.count_connections(count)
        if not self._connections:
            self._empty.set()


def server_context(config: ApiServerConfig) -> ssl.SSLContext | None:
    """Return the TLS side of a server; None: the configuration has no certificate.

    Raises:
        ConfigError: If a certificate or a key cannot be used.
    """
    if config.ssl_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(
            config.ssl_certfile,
            config.ssl_keyfile,
            password=lambda: config.ssl_keyfile_password or "",
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"api_server.ssl_certfile {config.ssl_certfile!r} with ssl_keyfile "
            f"{config.ssl_keyfile!r} cannot be used: {error}"
        ) from error
    if config.ssl_ca_certs is not None:
        try:
            context.load_verify_locations(config.ssl_ca_certs)
        except OSError as error:
            raise ConfigError(
                f"api_server.ssl_ca_certs {config.ssl_ca_certs!r} cannot be used: "
                f"{error}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
