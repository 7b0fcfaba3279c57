"""What the supervisor and its processes tell each other: a JSON line each, on a socket.

The end of the stream tells either side that the other is gone: no process outlives its
supervisor.
"""

import asyncio
import socket
from typing import Any

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
]

_LONGEST_LINE_BYTES = 4 * 2**20


class ProcessSpec(msgspec.Struct, tag="spec", frozen=True, kw_only=True):
    """Sent first: what the process is to be."""

    role: str
    """describe, api, runner or replica."""
    name: str
    """Unique among the processes; names its metrics and its log lines."""
    service: str
    working_dir: str
    config: ResolvedConfig
    run_dir: str
    runner: str = ""
    """The runner that a runner or replica process serves."""
    sockets: tuple[int, ...] = ()
    """Descriptors of listening sockets."""
    replicas: int = 1
    """Replicas of the runner; with more than one, each is a process of its own."""
    workers: int = 1
    """API workers, among which `max_concurrency` is shared."""
    index: int = 0
    """Which of the API workers it is."""


class Described(msgspec.Struct, tag="described", frozen=True):
    """The service has been imported."""

    plan: ServicePlan


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The process serves."""


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The process cannot start; the message is for the user."""

    message: str


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Finish what was accepted, then end."""


Message = ProcessSpec | Described | Ready | Failed | Drain

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class ControlChannel:
    """One end of the connection.

    Args:
        connection: The socket; the channel closes it.
    """

    def __init__(self, *, connection: socket.socket) -> None:
        self._connection = connection
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Begin to read."""
        self._connection.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(
            sock=self._connection, limit=_LONGEST_LINE_BYTES
        )

    async def send(self, message: Message) -> None:
        """Send a message; nothing happens if the other side is gone."""
        if self._writer is None:
            return
        try:
            self._writer.write(_encode(message) + b"\n")
            await self._writer.drain()
        except ConnectionError:
            return  # whoever reads will see the end of the stream

    async def receive(self) -> Any:
        """Return the next message, or None once the other side is gone."""
        if self._reader is None:
            return None
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return _decode(line) if line.endswith(b"\n") else None

    async def aclose(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except ConnectionError:
                return  # the other side closed first
