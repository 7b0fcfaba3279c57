"""Unix sockets: links reconnect, listeners refuse peers that do not shake hands."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from headway.errors import WireError
from headway.ipc import unix
from headway.ipc.shared_memory import encode_block, encode_unused
from headway.ipc.unix import UnixChannel, UnixLink
from headway.server.sockets import bind_unix
from tests.ipc.connections import MEMORY_BYTES, Owner, connected, frame, listen


async def test_a_link_reconnects_when_the_process_is_replaced(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "s")
    kept = bind_unix(path)  # as the supervisor keeps it
    client = Owner()
    link = UnixLink(path=path, owner=client)
    link.start()
    for generation in range(3):
        server = Owner()
        listening = listen(kept.dup(), lambda: server)  # noqa: B023
        await server.until(lambda: bool(server.opened))  # noqa: B023
        await client.until(lambda: len(client.opened) > generation)  # noqa: B023
        client.channel.send([frame(b"hello")])
        await server.until(lambda: bool(server.views))  # noqa: B023
        listening.close()
        server.channel.close()
        await client.until(lambda: len(client.lost) > generation)  # noqa: B023
        assert [lost for lost, _ in client.lost] == client.opened[: generation + 1]
    await link.aclose()
    kept.close()


async def test_a_link_retries_until_a_socket_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    client, server = Owner(), Owner()
    link = UnixLink(path=path, owner=client)
    link.start()
    await asyncio.sleep(0)  # its first try fails: there is no such file
    listening = listen(bind_unix(path), lambda: server)
    await client.until(lambda: bool(client.opened))
    await server.until(lambda: bool(server.opened))
    assert listening.channels == {server.channel}
    deserted = asyncio.ensure_future(listening.wait_deserted())
    await link.aclose()
    await client.until(lambda: bool(client.lost))
    await server.until(lambda: bool(server.lost))
    async with asyncio.timeout(5):
        await deserted
    assert listening.channels == set()
    listening.close()


async def test_a_link_can_be_closed_before_it_is_connected(tmp_path: Path) -> None:
    client = Owner()
    link = UnixLink(path=str(tmp_path / "nobody"), owner=client)
    link.start()
    await asyncio.sleep(0)
    await link.aclose()
    assert client.opened == []
    await UnixLink(path="/never/started", owner=client).aclose()


async def test_a_closed_link_stays_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    client, server = Owner(), Owner()
    listening = listen(bind_unix(path), lambda: server)
    link = UnixLink(path=path, owner=client)
    link.start()
    await client.until(lambda: bool(client.opened))
    await server.until(lambda: bool(server.opened))
    await link.aclose()
    await client.until(lambda: bool(client.lost))
    await server.until(lambda: bool(server.lost))
    assert len(client.opened) == len(server.opened) == 1
    listening.close()


async def test_each_connection_has_its_owner(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    owners: list[Owner] = []
    accepted = asyncio.Semaphore(0)

    def owner() -> Owner:
        owners.append(Owner())
        accepted.release()
        return owners[-1]

    listening = listen(bind_unix(path), owner)
    clients = [Owner() for _ in range(5)]
    links = [UnixLink(path=path, owner=client) for client in clients]
    for link in links:
        link.start()
    for number, client in enumerate(clients):
        await client.until(lambda: bool(client.opened))  # noqa: B023
        client.channel.send([frame(bytes([number]))])
    for _ in range(5):
        await accepted.acquire()
    for one in owners:
        await one.until(lambda: bool(one.views))  # noqa: B023
    assert sorted(one.frames[0] for one in owners) == [
        frame(bytes([number])) for number in range(5)
    ]
    for link in links:
        await link.aclose()
    for one in owners:
        await one.until(lambda: bool(one.lost))  # noqa: B023
    listening.close()


def test_a_channel_that_was_never_open_ignores_frames() -> None:
    channel = UnixChannel(owner=_NoOwner())
    channel.send([frame(b"x")])
    channel.close()


class _NoOwner(Owner):
    def __init__(self) -> None: ...


async def test_frames_that_fill_the_socket_arrive_in_order(
    tmp_path: Path,
) -> None:
    # Nothing reads within one turn of the loop: the socket fills amid a frame.
    sent = [frame(bytes([number]) * 200_000) for number in range(100)]
    async with connected("unix", tmp_path) as (client, server):
        for one in sent:
            client.channel.send([one])
        await server.until(lambda: len(server.views) == len(sent))
    assert server.frames == sent


async def _ended(stranger: socket.socket) -> None:
    """Return once the other end is closed."""
    stranger.setblocking(False)
    async with asyncio.timeout(10):
        assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""


async def test_a_peer_without_handshake_is_refused_and_others_are_served(
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
        stranger.sendall(b"x" * 16)  # announces memory, sends none
        await _ended(stranger)
    assert "refused a peer" in caplog.text
    link = UnixLink(path=path, owner=client)
    link.start()
    await client.until(lambda: bool(client.opened))
    client.channel.send([frame(b"hello")])
    await server.until(lambda: server.frames == [frame(b"hello")])
    await link.aclose()
    await server.until(lambda: bool(server.lost))
    assert len(server.opened) == 1
    listener.close()


async def test_a_handshake_after_close_is_refused(tmp_path: Path) -> None:
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


async def test_a_connection_waits_while_no_file_descriptor_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unix, "_LAST_RETRY_S", 0.01)
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
async def test_a_peer_that_refers_to_an_impossible_block_is_disconnected(
    tmp_path: Path, bad: bytes
) -> None:
    async with connected("memory", tmp_path) as (client, server):
        client.channel.send([frame(b"good"), bad, frame(b"lost")])
        await server.until(lambda: bool(server.lost))
        assert server.frames == [frame(b"good")]
        assert isinstance(server.lost[0][1], WireError)


async def test_without_memory_block_frames_go_to_the_owner(
    tmp_path: Path,
) -> None:
    async with connected("unix", tmp_path) as (client, server):
        client.channel.send([encode_block(0, 8)])  # the owner refuses it
        await server.until(lambda: server.frames == [encode_block(0, 8)])


async def test_unused_memory_is_reported_even_if_nothing_is_sent(
    tmp_path: Path,
) -> None:
    """Otherwise its peer would run out of memory."""
    async with connected("memory", tmp_path) as (client, server):
        eighth = frame(bytes(MEMORY_BYTES // 8 - 8))
        half = frame(bytes(MEMORY_BYTES // 2 - 8))
        memory = client.channel._memory  # type: ignore[attr-defined]  # it has one
        for _ in range(20):
            client.channel.send([eighth])
            await server.until(lambda: len(server.views) == 1)
            server.views.clear()
        async with asyncio.timeout(10):
            while len(memory.pack([half], len(half))[0]) == len(half):  # noqa: ASYNC110
                await asyncio.sleep(0)
