"""The first bytes of a connection, and the shared memory that goes with them.

Whoever connects offers (ipc/unix), whoever listens receives (ipc/listener):
on the socket itself, since an event loop's transport carries no file descriptors.

The memory has no name: the kernel frees it with the last process that has it, however
that one ends.
"""

import asyncio
import fcntl
import logging
import mmap
import os
import socket
import struct
from typing import Final

from headway.errors import WireError
from headway.ipc.arena import Arena

__all__ = ["offer", "receive"]

_log = logging.getLogger(__name__)

# bytes of each half, 0 for none; bytes from which a write goes through the memory
_HELLO = struct.Struct("<QQ")
_HELLO_S = 10.0
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""What the peer has mapped must not be taken from under it."""


def offer(
    connection: socket.socket, *, half_bytes: int, share_from: int
) -> Arena | None:
    """Begin a connection; return this end of its memory, if it has any.

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
    return Arena(memory=memory, half=0, share_from=share_from)


def _make(nbytes: int) -> int:
    fd = os.memfd_create("headway", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, nbytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


async def receive(connection: socket.socket) -> Arena | None:
    """Return the other end of what the peer offers.

    Raises:
        OSError: If the peer is gone.
        WireError: If it offers nothing, or what cannot be used.
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
    return Arena(memory=memory, half=1, share_from=share_from)


async def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    while True:
        try:
            hello, fds, _, _ = socket.recv_fds(connection, _HELLO.size, 1)
        except BlockingIOError:
            await _readable(connection)
        else:
            if not hello:
                raise ConnectionResetError("the peer is gone")
            return hello, fds


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)


def _map(fd: int, nbytes: int) -> mmap.mmap:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size != nbytes:
            raise WireError(f"the memory that a peer offers has not {nbytes} bytes")
        return mmap.mmap(fd, nbytes)
    except (OSError, ValueError, OverflowError) as error:
        raise WireError(
            f"the memory that a peer offers is of no use: {error}"
        ) from error
