"""A runner or a replica in a process of its own: a listening socket and its owner.

server/runner_assembly builds it; the process starts, drains and closes it.
"""

import logging
import socket
from asyncio import AbstractEventLoop, timeout
from collections.abc import Sequence

from headway.ipc.channel import ChannelOwner, LocalChannel
from headway.ipc.unix import UnixLink, UnixListener
from headway.observability.tracing import Tracing
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import ThreadExecutor

_log = logging.getLogger(__name__)


class ReplicaServer:
    """What listens on a Unix socket: a replica, or the base of a runner.

    Args:
        listening: Where the clients connect: API workers, or a replica's runner.
        owner: Reads and answers their frames.
    """

    def __init__(self, *, listening: socket.socket, owner: ChannelOwner) -> None:
        self._listener = UnixListener(listening=listening, owner=lambda: owner)

    async def start(self) -> None:
        """Accept connections."""
        self._listener.start()

    async def drain(self, timeout_s: float) -> None:
        """Serve on until the clients, which drain too, have disconnected.

        A signal that reaches all processes of the server at once must not end a
        runner before the requests that were accepted are answered.
        """
        try:
            async with timeout(timeout_s):
                await self._listener.wait_deserted()
        except TimeoutError:
            _log.warning("clients were still connected after %.1f s", timeout_s)

    async def aclose(self) -> None:
        """Close all connections and accept no more; nothing is in flight any more."""
        self._listener.close()
        for channel in self._listener.channels:
            channel.close()


class RunnerServer(ReplicaServer):
    """The queue and the scheduler of a runner, and its replicas.

    Args:
        listening: Where API workers connect.
        owner: Reads their frames.
        dispatcher: Computes and answers.
        links: Keep replicas in other processes connected; empty if the dispatcher has
            a replica in this process.
        tracing: Makes spans of batches, if they are traced.
    """

    def __init__(
        self,
        *,
        listening: socket.socket,
        owner: ChannelOwner,
        dispatcher: Dispatcher,
        links: Sequence[UnixLink] = (),
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__(listening=listening, owner=owner)
        self._dispatcher = dispatcher
        self._links = links
        self._tracing = tracing

    async def start(self) -> None:
        """Serve; with replicas in other processes, once all of them are ready.

        Raises:
            MissingExtraError: If batches are traced and OpenTelemetry is not installed.
        """
        if self._tracing is not None:
            self._tracing.start()
        for link in self._links:
            link.start()
        await self._dispatcher.wait_replicas(len(self._links))
        await super().start()

    async def aclose(self) -> None:
        """Close all connections; nothing is in flight any more."""
        await super().aclose()
        for link in self._links:
            await link.aclose()
        self._dispatcher.close()
        if self._tracing is not None:
            await self._tracing.aclose()


class LocalRunner:
    """A runner in the process of its only client.

    Args:
        client: The API worker's end of the connection.
        owner: The runner's end.
        dispatcher: Computes and answers.
        executor: The dispatcher's replica.
        loop: Delivers frames.
    """

    def __init__(
        self,
        *,
        client: ChannelOwner,
        owner: ChannelOwner,
        dispatcher: Dispatcher,
        executor: ThreadExecutor,
        loop: AbstractEventLoop,
    ) -> None:
        self._client = client
        self._owner = owner
        self._dispatcher = dispatcher
        self._executor = executor
        self._loop = loop
        self._channel: LocalChannel | None = None

    def start(self) -> None:
        """Connect."""
        self._channel, _ = LocalChannel.connect(self._client, self._owner, self._loop)

    async def aclose(self) -> None:
        """Disconnect, after the current batch."""
        if self._channel is not None:
            self._channel.close()
        await self._executor.aclose()
        self._dispatcher.close()
