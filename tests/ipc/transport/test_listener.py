"""The listener: whoever does not shake hands is turned away, and others are served."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from headway.errors import WireError
from headway.ipc import listener as listener_module
from headway.ipc.block_frame import encode_block, encode_unused
from headway.ipc.unix import UnixLink
from headway.server.sockets import bind_unix
from tests.ipc.transport.ends import MEMORY_BYTES, Owner, connected, frame, listen


async def _ended(stranger: socket.socket) -> None:
    """Return once the other end is closed."""
    stranger.setblocking(False)
    async with asyncio.timeout(10):
        assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""


async def test_a_stranger_is_turned_away_and_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "s")
    client, server = Owner(), Owner()
    listener = listen(bind_unix(path), lambda: server)
    with (
        socket.socket(socket.AF_UNIX) as stranger,
        socket.socket(socket.AF_UNIX) as gone,
    ):
        gone.connect(path)
        gone.close()
        stranger.connect(path)
        stranger.sendall(b"x" * 16)  # memory of which there is none
        await _ended(stranger)
    assert "turned a peer away" in caplog.text
    link = UnixLink(path=path, owner=client)
    link.start()
    await client.until(lambda: bool(client.opened))
    client.channel.send([frame(b"hello")])
    await server.until(lambda: server.frames == [frame(b"hello")])
    await link.aclose()
    await server.until(lambda: bool(server.lost))
    assert len(server.opened) == 1
    listener.close()


async def test_who_shakes_hands_too_late_is_not_let_in(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = Owner()
    listener = listen(bind_unix(path), lambda: server)
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(path)
        async with asyncio.timeout(10):
            while not listener._greeting:  # noqa: ASYNC110 - until it is accepted
                await asyncio.sleep(0)
        listener.close()
        late.sendall(bytes(16))
        await _ended(late)
    assert server.opened == []


async def test_a_connection_that_cannot_be_accepted_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener_module, "_RETRY_S", 0.01)
    loop: Any = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")]

    async def fail_first(listening: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return await accept(listening)

    monkeypatch.setattr(loop, "sock_accept", fail_first)
    path = str(tmp_path / "s")
    client, server = Owner(), Owner()
    listener = listen(bind_unix(path), lambda: server)
    link = UnixLink(path=path, owner=client)
    link.start()
    await server.until(lambda: bool(server.opened))
    assert "Too many open files" in caplog.text
    await link.aclose()
    await server.until(lambda: bool(server.lost))
    listener.close()


@pytest.mark.parametrize(
    "bad",
    [encode_block(MEMORY_BYTES, 8), encode_block(0, 2**40), encode_unused([0])],
    ids=["beyond", "too long", "nothing to free"],
)
async def test_a_peer_that_points_elsewhere_is_cut_off(
    tmp_path: Path, bad: bytes
) -> None:
    async with connected("memory", tmp_path) as (client, server):
        client.channel.send([frame(b"good"), bad, frame(b"lost")])
        await server.until(lambda: bool(server.lost))
        assert server.frames == [frame(b"good")]
        assert isinstance(server.lost[0][1], WireError)


async def test_without_memory_there_are_no_blocks(tmp_path: Path) -> None:
    async with connected("unix", tmp_path) as (client, server):
        client.channel.send([encode_block(0, 8)])  # the owner's to refuse
        await server.until(lambda: server.frames == [encode_block(0, 8)])


async def test_much_that_is_unused_is_told_without_being_asked(tmp_path: Path) -> None:
    """An owner that never sends must not keep the memory from its peer."""
    async with connected("memory", tmp_path) as (client, server):
        eighth = frame(bytes(MEMORY_BYTES // 8 - 8))
        arena = client.channel._arena  # type: ignore[attr-defined]  # it has one
        for _ in range(20):
            client.channel.send([eighth])
            await server.until(lambda: len(server.views) == 1)
            server.views.clear()
        async with asyncio.timeout(10):
            while arena._space.taken_bytes > MEMORY_BYTES // 2:  # noqa: ASYNC110 - told
                await asyncio.sleep(0)
