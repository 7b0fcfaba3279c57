"""What a channel is: frames, both ways, in order, until it is lost.

api/runner_client and runner/ speak to channels; unix and local make them.
"""

from collections.abc import Sequence
from typing import Protocol

from headway.ipc.call import Buffer

__all__ = ["Channel", "ChannelOwner"]


class Channel(Protocol):
    """A connection that carries frames."""

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames, given as buffers; nothing happens once it is closed."""
        ...

    def close(self) -> None:
        """Send what was given, then close; the owner hears `channel_lost`."""
        ...


class ChannelOwner(Protocol):
    """What a channel tells; methods are called on the event loop's thread."""

    def channel_opened(self, channel: Channel) -> None:
        """The channel can carry frames."""
        ...

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """A whole frame came.

        It stays valid as long as a view of it lives, and is not to be written to.
        """
        ...

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """No more frames will come or go; called once."""
        ...
