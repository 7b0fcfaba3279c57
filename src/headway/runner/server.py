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
from headway.runner.executor import Executor, ThreadExecutor
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica

__all__ = ["LocalRunner", "ReplicaServer", "RunnerServer"]

_log = logging.getLogger(__name__)


class ReplicaServer:
    """What listens on a Unix socket: a replica, or the base of a runner.

    Args:
        listening: Where the clients connect: API workers, or a replica's runner.
        owner: Reads and answers their frames.
    """

    def __init__(
        self, *, listening: socket.socket, owner: RunnerReceiver | Replica
    ) -> None:
        self._owner = owner
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
                await self._owner.wait_deserted()
        except TimeoutError:
            _log.warning("clients were still connected after %.1f s", timeout_s)

    async def aclose(self) -> None:
        """Stop accepting connections."""
        self._listener.close()


class RunnerServer(ReplicaServer):
    """The queue and the scheduler of a runner, and its replicas.

    Args:
        listening: Where API workers connect.
        receiver: Reads their frames.
        dispatcher: Computes and answers.
        links: Keep replicas in other processes connected.
        executor: The replica in this process, if there is one.
        tracing: Makes spans of batches, if they are traced.
    """

    def __init__(
        self,
        *,
        listening: socket.socket,
        receiver: RunnerReceiver,
        dispatcher: Dispatcher,
        links: Sequence[UnixLink] = (),
        executor: Executor | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__(listening=listening, owner=receiver)
        self._receiver = receiver
        self._dispatcher = dispatcher
        self._links = links
        self._executor = executor
        self._tracing = tracing

    async def start(self) -> None:
        """Serve; with replicas in other processes, once all of them are ready.

        Raises:
            MissingExtraError: If batches are traced and OpenTelemetry is not installed.
        """
        if self._tracing is not None:
            self._tracing.start()
        self._dispatcher.start(self._receiver)
        if self._executor is not None:
            self._dispatcher.add_replica(self._executor)
        for link in self._links:
            link.start()
        await self._dispatcher.wait_replicas(max(len(self._links), 1))
        await super().start()

    async def aclose(self) -> None:
        """Close all connections; nothing is in flight any more."""
        await super().aclose()
        for channel in self._receiver.channels:
            channel.close()
        for link in self._links:
            await link.aclose()
        self._dispatcher.close()
        if self._tracing is not None:
            await self._tracing.aclose()


class LocalRunner:
    """A runner in the process of its only client.

    Args:
        client: The API worker's end of the connection.
        receiver: The runner's end.
        dispatcher: Computes and answers.
        executor: The replica.
        loop: Delivers frames.
    """

    def __init__(
        self,
        *,
        client: ChannelOwner,
        receiver: RunnerReceiver,
        dispatcher: Dispatcher,
        executor: ThreadExecutor,
        loop: AbstractEventLoop,
    ) -> None:
        self._client = client
        self._receiver = receiver
        self._dispatcher = dispatcher
        self._executor = executor
        self._loop = loop
        self._channel: LocalChannel | None = None

    def start(self) -> None:
        """Connect."""
        self._dispatcher.start(self._receiver)
        self._dispatcher.add_replica(self._executor)
        self._channel, _ = LocalChannel.connect(
            self._client, self._receiver, self._loop
        )

    async def aclose(self) -> None:
        """Disconnect, after the current batch."""
        if self._channel is not None:
            self._channel.close()
        await self._executor.aclose()
        self._dispatcher.close()
