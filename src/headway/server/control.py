"""Messages between the supervisor and its processes: JSON lines on a socket pair.

The end of the stream shows either side that the other is gone: no process outlives its
supervisor.
"""

import asyncio
import contextlib
import socket
from typing import Any, Literal, Self

import msgspec

from headway.config.resolution import ResolvedConfig
from headway.server.placement import ServicePlan

__all__ = [
    "ControlChannel",
    "Described",
    "Drain",
    "Failed",
    "Message",
    "ProcessSpec",
    "Ready",
    "Role",
]

Role = Literal["describe", "api", "runner", "replica"]
_LONGEST_LINE_BYTES = 4 * 2**20


class ProcessSpec(msgspec.Struct, tag="spec", frozen=True, kw_only=True):
    """The first message to a process: its role and all that it needs."""

    role: Role
    name: str
    """Unique among the processes; its metrics and log lines have it."""
    service: str
    working_dir: str
    config: ResolvedConfig = ResolvedConfig()
    run_dir: str
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


class Described(msgspec.Struct, tag="described", frozen=True):
    """The process has imported the service."""

    plan: ServicePlan


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The process serves."""


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The process cannot start; the message is for the user."""

    message: str


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """The process must finish accepted requests, then end."""


Message = ProcessSpec | Described | Ready | Failed | Drain

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
