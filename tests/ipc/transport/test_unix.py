"""What only Unix sockets do: they come back."""

import asyncio
from pathlib import Path

from headway.ipc.unix import UnixChannel, UnixLink
from headway.server.sockets import bind_unix
from tests.ipc.transport.ends import Owner, connected, frame, listen


async def test_a_link_connects_anew_when_the_process_behind_is_replaced(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "s")
    kept = bind_unix(path)  # by the supervisor, through all of it
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


async def test_a_link_waits_for_someone_to_listen(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    client, server = Owner(), Owner()
    link = UnixLink(path=path, owner=client)
    link.start()
    await asyncio.sleep(0)  # its first try fails: there is no such file
    listening = listen(bind_unix(path), lambda: server)
    await client.until(lambda: bool(client.opened))
    await link.aclose()
    await client.until(lambda: bool(client.lost))
    await server.until(lambda: bool(server.lost))
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


def test_a_channel_that_was_never_open_takes_nothing() -> None:
    channel = UnixChannel(owner=_NoOwner())
    channel.send([frame(b"x")])
    channel.close()


class _NoOwner(Owner):
    def __init__(self) -> None: ...


async def test_what_the_socket_does_not_take_at_once_follows_in_order(
    tmp_path: Path,
) -> None:
    # Within one turn of the loop nobody reads: the socket fills in mid-frame.
    sent = [frame(bytes([number]) * 200_000) for number in range(100)]
    async with connected("unix", tmp_path) as (client, server):
        for one in sent:
            client.channel.send([one])
        await server.until(lambda: len(server.views) == len(sent))
    assert server.frames == sent
