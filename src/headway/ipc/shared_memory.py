"""Shared memory of a connection: large frames lie there instead of in the stream.

ipc/unix creates it with the first bytes of a connection (`offer`, `accept`), asks it
what to send, and hands it the frames that only channels see:

    BLOCK     whole frames lie in this block of the sender's half of the memory
    UNUSED    nothing refers to these blocks of the receiver's half any longer

The memory has no name: the kernel frees it with the last process that maps it, however
that process ends. Not compiled, as it derives from weakref.ref.
"""

import asyncio
import fcntl
import logging
import mmap
import os
import socket
import struct
import weakref
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from headway.errors import WireError
from headway.ipc.frames import BLOCK, UNUSED, Buffer

_log = logging.getLogger(__name__)

ALIGNMENT: Final = 64
"""Blocks begin at multiples of it: a cache line, enough to align any array."""
_JOIN_BELOW_BYTES = 16 * 1024
"""Of a buffer on average. Each buffer costs a tenth of a microsecond besides its bytes,
so that small ones are joined first, at the price of a second copy."""
_NOTIFY_AT_SHARE = 4
"""The next frame to the peer lists the unused blocks. If they exceed this part of the
memory, they are listed at once."""

# bytes of each half, 0 for none; bytes from which a write goes through the memory
_HELLO = struct.Struct("<QQ")
_HELLO_S = 10.0
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""A peer cannot shrink the memory that this process has mapped."""

_HEAD = struct.Struct("<IB3x")
# start, bytes
_BLOCK = struct.Struct("<IB3xQQ")


def encode_block(start: int, nbytes: int) -> bytes:
    """Return a BLOCK frame."""
    return _BLOCK.pack(_BLOCK.size, BLOCK, start, nbytes)


def decode_block(frame: memoryview) -> tuple[int, int]:
    """Return the (start, bytes) of a BLOCK frame.

    Raises:
        WireError: If it has another length.
    """
    if len(frame) != _BLOCK.size:
        raise WireError(f"a BLOCK frame of {len(frame)} bytes")
    _, _, start, nbytes = _BLOCK.unpack(frame)
    return start, nbytes


def encode_unused(starts: Sequence[int]) -> bytes:
    """Return an UNUSED frame."""
    length = _HEAD.size + 8 * len(starts)
    return _HEAD.pack(length, UNUSED) + struct.pack(f"<{len(starts)}Q", *starts)


def decode_unused(frame: memoryview) -> tuple[int, ...]:
    """Return the starts of the blocks of an UNUSED frame.

    Raises:
        WireError: If it ends amid one.
    """
    count, rest = divmod(len(frame) - _HEAD.size, 8)
    if rest:
        raise WireError(f"an UNUSED frame of {len(frame)} bytes")
    return struct.unpack_from(f"<{count}Q", frame, _HEAD.size)


class BlockAllocator:
    """Allocates blocks of a memory by first fit, and frees them in any order.

    First fit touches little of the memory while little of it is in use. It knows
    numbers only.

    Args:
        capacity: Bytes of the memory.
    """

    __slots__ = ("_ends", "_holes")

    def __init__(self, capacity: int) -> None:
        usable = capacity - capacity % ALIGNMENT
        self._holes: list[tuple[int, int]] = [(0, usable)] if usable else []
        """(start, end) of the free ranges, in order; no two touch."""
        self._ends: dict[int, int] = {}
        """End of each allocated block, by its start."""

    def allocate(self, nbytes: int) -> int | None:
        """Return the start of a new block, or None if none fits."""
        size = max(nbytes + -nbytes % ALIGNMENT, ALIGNMENT)
        for index, (start, end) in enumerate(self._holes):
            if end - start >= size:
                if end - start == size:
                    del self._holes[index]
                else:
                    self._holes[index] = (start + size, end)
                self._ends[start] = start + size
                return start
        return None

    def free(self, start: int) -> None:
        """Free a block.

        Raises:
            KeyError: If no allocated block starts there.
        """
        end = self._ends.pop(start)
        holes = self._holes
        at = bisect_left(holes, (start, end))
        if at < len(holes) and holes[at][0] == end:
            end = holes.pop(at)[1]
        if at and holes[at - 1][1] == start:
            holes[at - 1] = (holes[at - 1][0], end)
        else:
            holes.insert(at, (start, end))


class _Loan(weakref.ref[np.ndarray[Any, Any]]):
    """Notices that nothing refers to a block any longer."""

    __slots__ = ("nbytes", "start")

    start: int
    nbytes: int


class SharedMemory:
    """One end of the memory of a connection.

    Each end writes to its own half and reads the other's. A block is written once, and
    again only after the peer has reported that nothing refers to it: neither a frame
    nor an array over one.

    Args:
        memory: Both halves.
        half: Which of them is this end's, 0 or 1.
        share_from: Bytes from which a write goes through the memory.
    """

    __slots__ = (
        "_blocks",
        "_loans",
        "_notify_at",
        "_own",
        "_peers",
        "_unused_bytes",
        "notify",
        "share_from",
        "unused",
    )

    def __init__(self, *, memory: mmap.mmap, half: int, share_from: int) -> None:
        size = len(memory) // 2
        halves = memoryview(memory)[:size], memoryview(memory)[size:]
        self.share_from = share_from
        self.notify: Callable[[], None] = lambda: None
        """Called from any thread when `unused` should be sent to the peer at once."""
        self.unused: deque[int] = deque()
        """Blocks of the peer that are not in use; not reported to it yet."""
        self._unused_bytes = 0
        self._notify_at = size // _NOTIFY_AT_SHARE
        self._own = halves[half]
        self._peers = halves[1 - half].toreadonly()
        self._blocks = BlockAllocator(size)
        self._loans: dict[int, _Loan] = {}

    def pack(self, buffers: Sequence[Buffer], nbytes: int) -> list[Buffer]:
        """Return what to send for frames: references to their block, or the frames.

        Args:
            buffers: Whole frames.
            nbytes: Their length.
        """
        packed: list[Buffer] = []
        if self.unused:
            self._unused_bytes = 0
            starts = []
            # One by one: another thread may add to them.
            while self.unused:
                starts.append(self.unused.popleft())
            packed.append(encode_unused(starts))
        start = self._blocks.allocate(nbytes) if nbytes >= self.share_from else None
        if start is None:
            # Also if the memory is full: waiting for room would cost more.
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

    def block(self, frame: memoryview) -> memoryview:
        """Return the bytes that a BLOCK frame refers to, read-only.

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
        return block.data

    def _ended(self, loan: _Loan) -> None:
        """Note that nothing refers to a block; called from any thread."""
        del self._loans[loan.start]
        self.unused.append(loan.start)
        before = self._unused_bytes
        # Two threads at once may lose one count: the peer learns a bit later.
        self._unused_bytes = before + loan.nbytes
        if before < self._notify_at <= self._unused_bytes:
            self.notify()

    def free(self, frame: memoryview) -> None:
        """Free the blocks that an UNUSED frame lists.

        Raises:
            WireError: If one is not allocated.
        """
        for start in decode_unused(frame):
            try:
                self._blocks.free(start)
            except KeyError:
                raise WireError(f"there is no block at {start} to free") from None


def offer(
    connection: socket.socket, *, half_bytes: int, share_from: int
) -> SharedMemory | None:
    """Begin a connection as its client; return this end of its memory, if it has any.

    This happens on the socket itself, as an event loop's transport carries no file
    descriptors.

    Args:
        connection: Just connected.
        half_bytes: Of memory for each direction, rounded up to pages; 0 for none.
        share_from: Bytes from which a write goes through the memory.

    Raises:
        OSError: If the peer is gone.
    """
    half_bytes += -half_bytes % mmap.PAGESIZE
    try:
        fd = _make(2 * half_bytes) if half_bytes else None
    except OSError as error:
        _log.warning(
            "no shared memory of %d bytes: %s; arrays go through the socket",
            2 * half_bytes,
            error,
        )
        fd = None
    if fd is None:
        connection.sendall(_HELLO.pack(0, 0))
        return None
    try:
        memory = mmap.mmap(fd, 2 * half_bytes)
        socket.send_fds(connection, [_HELLO.pack(half_bytes, share_from)], [fd])
    finally:
        os.close(fd)
    return SharedMemory(memory=memory, half=0, share_from=share_from)


def _make(nbytes: int) -> int:
    fd = os.memfd_create("headway", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, nbytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


async def accept(connection: socket.socket) -> SharedMemory | None:
    """Begin a connection as its server; return the other end of the offered memory.

    Raises:
        OSError: If the peer is gone.
        WireError: If its offer is missing or unusable.
    """
    try:
        async with asyncio.timeout(_HELLO_S):
            hello, fds = await _receive(connection)
    except TimeoutError as error:
        raise WireError(f"a peer said nothing for {_HELLO_S:.0f} s") from error
    try:
        if len(hello) != _HELLO.size:
            raise WireError(f"a peer began with {hello!r}")
        half_bytes, share_from = _HELLO.unpack(hello)
        if not half_bytes:
            return None
        if len(fds) != 1:
            raise WireError("a peer offers memory, but none came")
        memory = _map(fds[0], 2 * half_bytes)
    finally:
        for fd in fds:
            os.close(fd)
    return SharedMemory(memory=memory, half=1, share_from=share_from)


async def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    loop = asyncio.get_running_loop()
    while True:
        try:
            hello, fds, _, _ = socket.recv_fds(connection, _HELLO.size, 1)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(connection)
        else:
            if not hello:
                raise ConnectionResetError("the peer is gone")
            return hello, fds


def _map(fd: int, nbytes: int) -> mmap.mmap:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size != nbytes:
            raise WireError(f"a peer offers memory that does not have {nbytes} bytes")
        return mmap.mmap(fd, nbytes)
    except (OSError, ValueError, OverflowError) as error:
        raise WireError(f"a peer offers unusable memory: {error}") from error
