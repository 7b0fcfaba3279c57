"""Messages between the supervisor and its processes: JSON lines on a socket pair.

A process gets its ProcessSpec and answers once: ServicePlan, Ready or Failed. The end
of the stream makes it drain and end, so that no process outlives its supervisor.
"""

import asyncio
import contextlib
import socket
from typing import Any, Literal, Self

import msgspec

from headway.config.resolution import ResolvedConfig
from headway.config.schema import RestartConfig
from headway.server.placement import ServicePlan

Role = Literal["describe", "api", "runner", "replica"]
_LONGEST_LINE_BYTES = 4 * 2**20


class ProcessSpec(msgspec.Struct, tag="spec", frozen=True, kw_only=True):
    """A process: how the supervisor starts it, and all that it needs."""

    role: Role
    name: str
    """Unique among the processes; its metrics and log lines have it."""
    service: str
    working_dir: str
    run_dir: str
    config: ResolvedConfig = ResolvedConfig()
    environment: dict[str, str] = {}
    """Variables besides the supervisor's own."""
    startup_timeout_s: float = 120.0
    """Seconds from the start to the answer."""
    restart: RestartConfig = RestartConfig()
    """Back-off between starts."""
    runner: str = ""
    """The runner that a runner or replica process serves."""
    sockets: tuple[int, ...] = ()
    """File descriptors of listening sockets."""
    replicas: int = 1
    """Replicas of the runner; several have a process each."""
    workers: int = 1
    """The number of API workers, which share `max_concurrency`."""
    index: int = 0
    """The number of this API worker."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The process serves."""


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The process cannot start; the message is for the user."""

    message: str


Message = ProcessSpec | ServicePlan | Ready | Failed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class ControlChannel:
    """One end of the connection."""

    def __init__(
        self, *, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, connection: socket.socket) -> Self:
        """Return a channel over a socket, which the channel closes."""
        connection.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(
            sock=connection, limit=_LONGEST_LINE_BYTES
        )
        return cls(reader=reader, writer=writer)

    async def send(self, message: Message) -> None:
        """Send a message; nothing happens if the other side is gone."""
        with contextlib.suppress(ConnectionError):  # receive() shows the end
            self._writer.write(_encode(message) + b"\n")
            await self._writer.drain()

    async def receive(self) -> Any:
        """Return the next message, or None once the other side is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return _decode(line) if line.endswith(b"\n") else None

    async def aclose(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # the other side closed first
            await self._writer.wait_closed()
