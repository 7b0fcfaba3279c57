"""A runner or a replica in a process of its own: a listening socket and what serves it.

assemble builds it; the process starts and closes it.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from headway.ipc.unix import UnixLink, UnixListener
from headway.observability.tracing import Tracing
from headway.runner.dispatcher import Dispatcher
from headway.runner.receiver import RunnerReceiver
from headway.runner.replica import Replica

__all__ = ["ReplicaServer", "RunnerServer"]

_log = logging.getLogger(__name__)


class RunnerServer:
    """The queue and the scheduler of a runner, and its links to replicas elsewhere.

    Args:
        listening: Where API workers connect.
        inbox: Takes what they send.
        dispatcher: Serves it.
        links: Keep replicas in other processes connected.
        attach: Gives the dispatcher the replica in this process, if there is one.
        tracing: Makes spans of batches, if they are traced.
    """

    def __init__(
        self,
        *,
        listening: socket.socket,
        inbox: RunnerReceiver,
        dispatcher: Dispatcher,
        links: Sequence[UnixLink] = (),
        attach: Callable[[], None] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._listening = listening
        self._inbox = inbox
        self._dispatcher = dispatcher
        self._links = links
        self._attach = attach
        self._listener: UnixListener | None = None
        self._tracing = tracing

    async def start(self) -> None:
        """Serve; with replicas elsewhere, once all of them are ready.

        Raises:
            MissingExtraError: If batches are traced and OpenTelemetry is not installed.
        """
        if self._tracing is not None:
            self._tracing.start()
        self._dispatcher.start(self._inbox)
        if self._attach is not None:
            self._attach()
        for link in self._links:
            link.start()
        await self._dispatcher.wait_replicas(max(len(self._links), 1))
        self._listener = UnixListener(
            listening=self._listening, owner=lambda: self._inbox
        )
        self._listener.start()

    async def drain(self, timeout_s: float) -> None:
        """Serve on until the API workers, which drain too, have disconnected.

        A signal that reaches all processes of the server at once must not end a
        runner before the requests that were accepted are answered.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._inbox.wait_deserted()
        except TimeoutError:
            _log.warning("API workers were still connected after %.1f s", timeout_s)

    async def aclose(self) -> None:
        """Close all connections; nothing is in flight any more."""
        if self._listener is not None:
            self._listener.close()
        for channel in self._inbox.channels:
            channel.close()
        for link in self._links:
            await link.aclose()
        self._dispatcher.close()
        if self._tracing is not None:
            await self._tracing.aclose()


class ReplicaServer:
    """A replica that computes for a runner in another process.

    Args:
        listening: Where the runner connects.
        replica: Computes.
    """

    def __init__(self, *, listening: socket.socket, replica: Replica) -> None:
        self._listening = listening
        self._replica = replica
        self._listener: UnixListener | None = None

    async def start(self) -> None:
        """Serve."""
        self._listener = UnixListener(
            listening=self._listening, owner=lambda: self._replica
        )
        self._listener.start()

    async def drain(self, timeout_s: float) -> None:
        """Serve on until the runner, which drains too, has disconnected."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._replica.wait_deserted()
        except TimeoutError:
            _log.warning("the runner was still connected after %.1f s", timeout_s)

    async def aclose(self) -> None:
        """Stop serving."""
        if self._listener is not None:
            self._listener.close()
