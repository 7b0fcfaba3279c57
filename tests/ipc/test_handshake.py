"""The handshake shares memory, goes without it, or ends the connection."""

import asyncio
import fcntl
import gc
import logging
import mmap
import os
import resource
import socket
import struct
from collections.abc import Iterator

import pytest

from headway.errors import WireError
from headway.ipc import shared_memory
from headway.ipc.shared_memory import accept, offer
from tests.ipc.connections import frame

Sockets = tuple[socket.socket, socket.socket]
PAGE = mmap.PAGESIZE


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    gc.collect()  # other tests' doubles and their channels refer to one another
    near, far = socket.socketpair()
    far.setblocking(False)
    with near, far:
        yield near, far


def memory_fds() -> list[str]:
    """Return the memory that this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the one of the listing itself
        if "memfd:" in target:
            found.append(target)
    return found


async def test_both_ends_have_the_memory(sockets: Sockets) -> None:
    near, far = sockets
    ours = offer(near, half_bytes=PAGE + 1, share_from=100)
    theirs = await accept(far)
    assert ours is not None
    assert theirs is not None
    assert ours.share_from == theirs.share_from == 100
    for one, other in ((ours, theirs), (theirs, ours)):
        sent = frame(bytes(2 * PAGE - 8))  # one half, rounded up
        block = one.pack([sent], len(sent))[-1]
        assert other.block(memoryview(block)) == sent
    assert len(memory_fds()) == 2  # one for each map, none besides
    del ours, theirs, one, other
    assert memory_fds() == []


async def test_without_memory(sockets: Sockets) -> None:
    near, far = sockets
    assert offer(near, half_bytes=0, share_from=100) is None
    assert await accept(far) is None
    assert memory_fds() == []


async def test_bytes_after_the_handshake_stay_in_the_socket(sockets: Sockets) -> None:
    near, far = sockets
    offer(near, half_bytes=PAGE, share_from=100)
    near.sendall(b"after")
    await accept(far)
    assert far.recv(100) == b"after"


async def test_a_peer_may_take_its_time(sockets: Sockets) -> None:
    near, far = sockets
    task = asyncio.get_running_loop().create_task(accept(far))
    await asyncio.sleep(0)
    assert not task.done()
    offer(near, half_bytes=PAGE, share_from=100)
    assert await task is not None


async def test_a_silent_peer_times_out(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "_HELLO_S", 0.01)
    with pytest.raises(WireError, match="said nothing"):
        await accept(sockets[1])


async def test_a_peer_that_disconnects_is_an_error(sockets: Sockets) -> None:
    sockets[0].close()
    with pytest.raises(ConnectionResetError):
        await accept(sockets[1])


def _sealed(nbytes: int, seals: int) -> int:
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, nbytes)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@pytest.mark.parametrize(
    ("half_bytes", "nbytes", "seals", "message"),
    [
        pytest.param(PAGE, 2 * PAGE, 0, "does not have", id="may shrink"),
        pytest.param(PAGE, PAGE, fcntl.F_SEAL_SHRINK, "does not have", id="too small"),
        pytest.param(2**63, PAGE, fcntl.F_SEAL_SHRINK, "does not have", id="absurd"),
        pytest.param(PAGE, None, 0, "none came", id="none"),
        pytest.param(PAGE, -1, 0, "unusable", id="no memory at all"),
    ],
)
async def test_unusable_memory_is_refused(
    sockets: Sockets, half_bytes: int, nbytes: int | None, seals: int, message: str
) -> None:
    near, far = sockets
    hello = struct.pack("<QQ", half_bytes, 100)
    fds = []
    if nbytes is not None:
        fds = [os.open("/dev/null", 0) if nbytes < 0 else _sealed(nbytes, seals)]
    socket.send_fds(near, [hello], fds)
    with pytest.raises(WireError, match=message):
        await accept(far)
    for fd in fds:
        os.close(fd)
    assert memory_fds() == []


async def test_a_peer_that_begins_otherwise_is_refused(sockets: Sockets) -> None:
    sockets[0].sendall(b"GET / HTTP/1.1"[:9])
    with pytest.raises(WireError, match="began with b'GET / HTT'"):
        await accept(sockets[1])


async def test_without_memory_the_socket_is_used(
    sockets: Sockets,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    near, far = sockets
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(near.fileno())
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        with caplog.at_level(logging.WARNING):
            assert offer(near, half_bytes=PAGE, share_from=100) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "arrays go through the socket" in caplog.text
    assert await accept(far) is None
