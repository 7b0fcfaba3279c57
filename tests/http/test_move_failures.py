"""A connection stays with its worker unless another one takes it in time."""

import array
import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from tests.http.edge import on_both_loops, until
from tests.http.workers import ask, post, workers


@on_both_loops
async def test_a_dead_worker_gets_no_connection(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, _):
        client = await one.client()
        one.move_all(2)  # no worker has this index
        await ask(client, b"second")
        await ask(client, b"third")
        assert (one.moved, len(one.connections)) == (0, 1)


@on_both_loops
@pytest.mark.parametrize("end", ["closes", "dies", "is late"])
async def test_a_connection_stays_unless_another_worker_takes_it(
    tmp_path: Path, end: str
) -> None:
    answer_s = 0.05 if end == "is late" else 5.0
    async with workers(tmp_path, 1, answer_s=answer_s) as (one,):
        path = tmp_path / "a1"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck:
            stuck.bind(str(path))
            stuck.setblocking(False)
            client = await one.client()
            one.move_all(1)
            client.send(post(b"second"))  # the kernel keeps it meanwhile
            await until(lambda: bool(one.balancer._offers))
            if end == "dies":
                # It received the descriptors, and never answered.
                _, descriptors, _, _ = socket.recv_fds(stuck, 16, 2)
                for descriptor in reversed(descriptors):
                    os.close(descriptor)
            elif end == "closes":
                stuck.close()
            assert (await client.answer()).body == b"second"
            await until(lambda: not one.balancer._offers)
            if end == "is late":
                _, descriptors, _, _ = socket.recv_fds(stuck, 16, 2)
                connection, answer = map(_adopted, descriptors)
                with connection, answer, pytest.raises(BrokenPipeError):
                    answer.send(b"1")  # so it must not read a byte
            await ask(client, b"third")
            assert (one.moved, len(one.connections)) == (0, 1)
        path.unlink()


@on_both_loops
@pytest.mark.parametrize("fault", ["its sender gave up", "no descriptor to spare"])
async def test_a_connection_that_cannot_be_taken_is_not_read(
    tmp_path: Path, fault: str
) -> None:
    async with workers(tmp_path) as (one, two):
        ours, theirs = socket.socketpair()
        near, far = socket.socketpair()
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ours, theirs, near, far, sender:
            if fault == "its sender gave up":
                ours.shutdown(socket.SHUT_RDWR)
                rights = array.array("i", [far.fileno(), theirs.fileno()])
            else:
                rights = array.array("i", [far.fileno()])
            near.send(post(b"not yours"))
            sender.sendmsg(
                [b"1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, two.path
            )
            # Connections offered later are still taken.
            client = await one.client()
            one.move_all(1)
            await until(lambda: one.moved == 1)
            await ask(client, b"mine")
            assert [r.body for r in two.edge.app.requests] == [b"mine"]
            assert two.edge.connections == 1
            far.setblocking(False)
            assert far.recv(1000) == post(b"not yours")


def _adopted(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


@on_both_loops
async def test_an_acceptance_counts_when_the_sender_drains(tmp_path: Path) -> None:
    async with workers(tmp_path, 1) as (one,):
        path = tmp_path / "a1"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taker:
            taker.bind(str(path))
            client = await one.client()
            one.move_all(1)
            await until(lambda: bool(one.balancer._offers))
            _, descriptors, _, _ = socket.recv_fds(taker, 16, 2)
            connection, answer = map(_adopted, descriptors)
            with connection:
                with answer:
                    answer.send(b"1")
                await one.balancer.aclose()  # ends the moves in progress
                assert one.moved == 1
                await until(lambda: not one.connections)
                client.send(post(b"second"))
                await asyncio.get_running_loop().sock_recv(connection, 1000)
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                assert (await client.answer()).body == b"ok"
        path.unlink()


@on_both_loops
async def test_a_client_that_resets_while_it_is_moved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with workers(tmp_path) as (one, two):
        for _ in range(5):
            client = await one.client()
            one.move_all(1)
            raw = client.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.hang_up()
            await until(lambda: not one.connections and not two.connections)
        other = await two.edge.connect()
        await ask(other, b"fine")
    assert not caplog.records
