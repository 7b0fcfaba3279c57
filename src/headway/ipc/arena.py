"""Memory that both ends of a channel see: large frames lie there, not in the stream.

ipc/unix asks it what to send, and what is meant by the frames of
ipc/block_frame; ipc/handshake makes it and takes it across.
"""

import mmap
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from headway.errors import WireError
from headway.ipc.block_frame import (
    decode_block,
    decode_unused,
    encode_block,
    encode_unused,
)
from headway.ipc.call import Buffer
from headway.ipc.framing import whole_frames
from headway.ipc.space import Space

__all__ = ["Arena"]

_JOIN_BELOW_BYTES = 16 * 1024
"""Of a buffer on average: each costs a tenth of a microsecond besides its bytes, so
that small ones are joined first, at the price of a second copy."""
_TELL_AT_SHARE = 4
"""The peer is told of unused blocks with the next frame that goes there anyway; but at
once where they are more than this part of the memory."""


class _Loan(weakref.ref[np.ndarray[Any, Any]]):
    """Sees when nothing refers to a block any longer."""

    __slots__ = ("nbytes", "start")

    start: int
    nbytes: int


class Arena:
    """One end of the memory of a connection.

    Each end writes to a half of its own and reads the other's. A block is written once,
    and again only when the peer has said that nothing refers to it: neither a frame nor
    any array over one, whoever keeps it.

    Args:
        memory: Both halves.
        half: Which of them is this end's, 0 or 1.
        share_from: Bytes from which a write goes through the memory.
    """

    __slots__ = (
        "_loans",
        "_own",
        "_peers",
        "_space",
        "_tell_at",
        "_unused_bytes",
        "share_from",
        "tell",
        "unused",
    )

    def __init__(self, *, memory: mmap.mmap, half: int, share_from: int) -> None:
        size = len(memory) // 2
        halves = memoryview(memory)[:size], memoryview(memory)[size:]
        self.share_from = share_from
        self.tell: Callable[[], None] = _to_nobody
        """Called, by whatever thread, when the peer should hear of `unused` at once."""
        self.unused: deque[int] = deque()
        """Blocks of the peer's of which nothing is in use; it was not told yet."""
        self._unused_bytes = 0
        self._tell_at = size // _TELL_AT_SHARE
        self._own = halves[half]
        self._peers = halves[1 - half].toreadonly()
        self._space = Space(size)
        self._loans: dict[int, _Loan] = {}

    @property
    def is_whole(self) -> bool:
        """Whether the peer uses nothing of what was sent."""
        return not self._space.taken_bytes

    def pack(self, buffers: Sequence[Buffer], nbytes: int) -> list[Buffer]:
        """Return what to send for frames: where they lie now, or else themselves.

        Args:
            buffers: Whole frames.
            nbytes: Their length.
        """
        packed: list[Buffer] = []
        if self.unused:
            packed.append(encode_unused(self._take_unused()))
        start = self._space.take(nbytes) if nbytes >= self.share_from else None
        if start is None:
            # Also if the memory is full: to wait for room would cost more.
            packed.extend(buffers)
            return packed
        if nbytes < _JOIN_BELOW_BYTES * len(buffers):
            buffers = (b"".join(buffers),)
        own, at = self._own, start
        for buffer in buffers:
            end = at + len(buffer)
            own[at:end] = buffer
            at = end
        packed.append(encode_block(start, nbytes))
        return packed

    def _take_unused(self) -> list[int]:
        self._unused_bytes = 0
        starts = []
        # One by one: another thread may add to them.
        while self.unused:
            starts.append(self.unused.popleft())
        return starts

    def frames(self, frame: memoryview) -> Iterator[memoryview]:
        """Return the frames that a BLOCK frame stands for; they are not to be written.

        Raises:
            WireError: If they cannot lie where it says.
        """
        start, nbytes = decode_block(frame)
        if not 0 < nbytes <= len(self._peers) - start:
            raise WireError(
                f"a block of {nbytes} bytes at {start} does not lie in a memory of "
                f"{len(self._peers)} bytes"
            )
        if start in self._loans:
            raise WireError(f"the block at {start} was sent again while it is in use")
        # All views of it, and all arrays over them, refer to this one object.
        block = np.frombuffer(self._peers[start : start + nbytes], np.uint8)
        loan = self._loans[start] = _Loan(block, self._ended)
        loan.start, loan.nbytes = start, nbytes
        return whole_frames(block.data)

    def _ended(self, loan: _Loan) -> None:
        """Note that nothing refers to a block; called by whatever thread saw to it."""
        del self._loans[loan.start]
        self.unused.append(loan.start)
        before = self._unused_bytes
        # If two threads come here at once, one may be counted less: told a bit later.
        self._unused_bytes = before + loan.nbytes
        if before < self._tell_at <= self._unused_bytes:
            self.tell()

    def take_back(self, frame: memoryview) -> None:
        """Free the blocks that an UNUSED frame names.

        Raises:
            WireError: If one was not sent.
        """
        for start in decode_unused(frame):
            try:
                self._space.give_back(start)
            except KeyError:
                raise WireError(f"there is no block at {start} to free") from None


def _to_nobody() -> None:
    """Stand for the channel until there is one."""
