"""A pair of channels in one process: what `headway serve` without --production uses.

Frames are the same bytes as between processes, so that what works in development works
in production.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

from headway.errors import WireError
from headway.ipc.call import Buffer
from headway.ipc.channel import ChannelOwner
from headway.ipc.framing import FrameCutter

__all__ = ["LocalChannel"]


class LocalChannel:
    """One end of an in-process connection.

    Args:
        owner: Told of frames and of the end.
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
        """Return two ends that reach each other; both owners hear `channel_opened`."""
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
            for frame in FrameCutter().feed(data):
                self._owner.frame_received(self, frame)
        except WireError as error:
            self._loop.call_soon(self._peer._lose, None)
            self._lose(error)

    def close(self) -> None:
        """Close both ends after what was sent."""
        if self._peer is not None:
            self._loop.call_soon(self._peer._lose, None)
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: WireError | None) -> None:
        if self._peer is not None:
            self._peer = None
            self._owner.channel_lost(self, error)
