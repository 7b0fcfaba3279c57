"""What a channel is: it carries frames both ways, in order, until it is lost.

api/runner_client and runner/ use channels. ipc/unix connects processes; LocalChannel
serves `headway serve` without --production. Its frames are the same bytes as between
processes, so that development works as production does.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol, Self

from headway.errors import WireError
from headway.ipc.frames import Buffer, whole_frames


class Channel(Protocol):
    """A connection that carries frames."""

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames, given as buffers; does nothing on a closed channel."""

    def close(self) -> None:
        """Send everything given so far, then close; calls `channel_lost`."""


class ChannelOwner(Protocol):
    """Callbacks of a channel, on the event loop's thread."""

    def channel_opened(self, channel: Channel) -> None:
        """The channel can carry frames."""

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """A whole frame came.

        It is read-only, and valid as long as a view of it lives.
        """

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """The channel carries no more frames; called once."""


class LocalChannel:
    """One end of a connection inside a process.

    Args:
        owner: Receives the callbacks.
        loop: Delivers frames in its next turn, as a socket would.
    """

    def __init__(self, *, owner: ChannelOwner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._peer: LocalChannel | None = None

    @classmethod
    def connect(
        cls, left: ChannelOwner, right: ChannelOwner, loop: asyncio.AbstractEventLoop
    ) -> tuple[Self, Self]:
        """Return two connected ends, after calling `channel_opened` of both owners."""
        ends = cls(owner=left, loop=loop), cls(owner=right, loop=loop)
        ends[0]._peer, ends[1]._peer = ends[1], ends[0]
        left.channel_opened(ends[0])
        right.channel_opened(ends[1])
        return ends

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames."""
        if self._peer is not None:
            self._loop.call_soon(self._peer._deliver, b"".join(buffers))

    def _deliver(self, data: bytes) -> None:
        if self._peer is None:
            return
        try:
            for frame in whole_frames(data):
                self._owner.frame_received(self, frame)
        except WireError as error:
            self._loop.call_soon(self._peer._lose, None)
            self._lose(error)

    def close(self) -> None:
        """Close both ends, after delivering what was sent."""
        if self._peer is not None:
            self._loop.call_soon(self._peer._lose, None)
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: WireError | None) -> None:
        if self._peer is not None:
            self._peer = None
            self._owner.channel_lost(self, error)
