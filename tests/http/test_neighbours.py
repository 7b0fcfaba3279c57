"""Connections that move between servers: no request is lost, doubled or swapped."""

import array
import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from headway.http.balance import BalanceRules, Load
from headway.http.load_board import LoadBoard
from headway.http.neighbours import Neighbours
from headway.http.protocol import HttpProtocol
from headway.metrics import Counter
from tests.http.edge import Client, Edge, on_both_loops, serving, until

NEVER = BalanceRules(interval_s=3600.0, answer_s=5.0)
"""The tests say what moves."""


class Worker:
    """A server and its part in the balance; several are in one process here."""

    def __init__(self, index: int, folder: Path, rules: BalanceRules) -> None:
        self._cells = memoryview(bytearray(8)).cast("q")
        self.path = str(folder / f"n{index}")
        self.board = LoadBoard(path=folder / "load", index=index, places=3)
        self.neighbours = Neighbours(
            index=index,
            paths=[str(folder / f"n{number}") for number in range(3)],
            board=self.board,
            rules=rules,
            moved=Counter(self._cells, 0),
        )
        self.edge: Edge

    @property
    def moved(self) -> int:
        return self._cells[0]

    @property
    def connections(self) -> list[HttpProtocol]:
        return list(self.edge.server._edge.connections)

    def give_all(self, neighbour: int) -> None:
        for connection in self.connections:
            if connection.may_leave(self.edge.clock.now(), 0.0):
                self.neighbours.give(connection, neighbour)


@asynccontextmanager
async def workers(
    folder: Path, count: int = 2, rules: BalanceRules = NEVER
) -> AsyncIterator[list[Worker]]:
    made = [Worker(index, folder, rules) for index in range(count)]
    async with AsyncExitStack() as stack:
        for worker in made:
            worker.edge = await stack.enter_async_context(
                serving(neighbours=worker.neighbours)
            )
        yield made
    assert not set(os.listdir(folder)) & {"n0", "n1", "n2"}


def post(body: bytes, path: str = "/") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        len(body),
        body,
    )


async def ask(client: Client, body: bytes) -> None:
    client.send(post(body))
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, body)


@on_both_loops
async def test_a_connection_goes_on_at_the_neighbour(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        one.give_all(1)
        await until(lambda: one.moved == 1)
        await until(lambda: not one.connections)
        for number in range(3):
            await ask(client, b"%d" % number)
        assert len(two.edge.app.requests) == 3
        # And back again.
        two.give_all(0)
        await until(lambda: two.moved == 1)
        await ask(client, b"last")
        assert [r.body for r in one.edge.app.requests] == [b"first", b"last"]
        client.writer.close()
        await until(lambda: not one.connections)


@on_both_loops
async def test_what_comes_meanwhile_is_the_neighbours(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        one.give_all(1)
        # Reading has stopped, so all of this is still the kernel's.
        client.send(post(b"second") + post(b"third") + post(b"half")[:-2])
        assert (await client.answer()).body == b"second"
        assert (await client.answer()).body == b"third"
        client.send(b"lf")
        assert (await client.answer()).body == b"half"
        assert len(one.edge.app.requests) == 1
        assert len(two.edge.app.requests) == 3


@on_both_loops
async def test_a_request_is_answered_before_its_connection_moves(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        client.send(post(b"", "/hold"))
        await until(lambda: len(one.edge.app.held) == 1)
        one.give_all(1)
        await until(iter([False, False, True]).__next__)
        assert not two.connections
        one.edge.app.held[0].respond(200, b"text/plain", b"held")
        assert (await client.answer()).body == b"held"
        await until(lambda: one.moved == 1)
        await ask(client, b"next")
        assert [r.body for r in two.edge.app.requests] == [b"next"]


@on_both_loops
async def test_half_a_request_keeps_its_connection_until_it_is_answered(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        whole = post(b"in two parts")
        client.send(whole[:-5])
        (connection,) = one.connections
        await until(lambda: connection._has_partial())
        one.give_all(1)
        client.send(whole[-5:])
        assert (await client.answer()).body == b"in two parts"
        await until(lambda: one.moved == 1)
        await ask(client, b"next")
        assert [len(w.edge.app.requests) for w in (one, two)] == [2, 1]


@on_both_loops
async def test_pipelined_requests_are_all_answered_first(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        client.send(post(b"", "/hold") + post(b"a") + post(b"b"))
        await until(lambda: len(one.edge.app.requests) == 4)
        one.give_all(1)
        one.edge.app.held[0].respond(200, b"text/plain", b"held")
        assert [(await client.answer()).body for _ in range(3)] == [b"held", b"a", b"b"]
        await until(lambda: one.moved == 1)
        await ask(client, b"next")
        assert len(two.edge.app.requests) == 1


@on_both_loops
async def test_a_neighbour_that_is_not_there_gets_nothing(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, _):
        client = await one.edge.connect()
        await ask(client, b"first")
        one.give_all(2)  # nobody has that place
        await ask(client, b"second")
        await ask(client, b"third")
        assert (one.moved, len(one.connections)) == (0, 1)


@on_both_loops
@pytest.mark.parametrize("end", ["closes", "dies", "is late"])
async def test_a_neighbour_that_does_not_take_it_leaves_it_here(
    tmp_path: Path, end: str
) -> None:
    rules = BalanceRules(interval_s=3600.0, answer_s=0.05 if end == "is late" else 5.0)
    async with workers(tmp_path, 1, rules) as (one,):
        path = tmp_path / "n1"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck:
            stuck.bind(str(path))
            stuck.setblocking(False)
            client = await one.edge.connect()
            await ask(client, b"first")
            one.give_all(1)
            client.send(post(b"second"))  # the kernel keeps it meanwhile
            await until(lambda: not one.neighbours._leaving)
            (departure,) = one.neighbours._departures
            if end == "dies":
                # It had the descriptors, and said nothing.
                _, descriptors, _, _ = socket.recv_fds(stuck, 16, 2)
                for descriptor in reversed(descriptors):
                    os.close(descriptor)
            elif end == "closes":
                stuck.close()
            assert (await client.answer()).body == b"second"
            await until(lambda: departure not in one.neighbours._departures)
            if end == "is late":
                _, descriptors, _, _ = socket.recv_fds(stuck, 16, 2)
                connection, answer = map(_adopted, descriptors)
                with connection, answer, pytest.raises(BrokenPipeError):
                    answer.send(b"1")  # so it must not read a byte
            await ask(client, b"third")
            assert (one.moved, len(one.connections)) == (0, 1)
        path.unlink()


@on_both_loops
async def test_answers_that_the_client_has_not_taken_keep_it_here(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = one.connections
        big, sent = b"x" * 30_000, 0
        while connection.descriptor is not None:
            client.send(post(big))
            sent += 1
            await until(lambda: len(one.edge.app.requests) == 1 + sent)  # noqa: B023
        one.give_all(1)
        await until(lambda: not one.neighbours._leaving)
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(sent):
            assert (await client.answer()).body == big
        await ask(client, b"last")
        assert (one.moved, len(two.edge.app.requests)) == (0, 0)
        one.give_all(1)
        await until(lambda: one.moved == 1)


@on_both_loops
@pytest.mark.parametrize("fault", ["its sender gave up", "no descriptor to spare"])
async def test_what_cannot_be_taken_is_not_touched(tmp_path: Path, fault: str) -> None:
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
            # What is sent later is taken later.
            client = await one.edge.connect()
            await ask(client, b"first")
            one.give_all(1)
            await until(lambda: one.moved == 1)
            await ask(client, b"mine")
            assert [r.body for r in two.edge.app.requests] == [b"mine"]
            assert two.edge.server.connections == 1
            far.setblocking(False)
            assert far.recv(1000) == post(b"not yours")


def _adopted(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


@on_both_loops
async def test_a_yes_in_time_counts_though_nobody_looked(tmp_path: Path) -> None:
    async with workers(tmp_path, 1) as (one,):
        path = tmp_path / "n1"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taker:
            taker.bind(str(path))
            client = await one.edge.connect()
            await ask(client, b"first")
            one.give_all(1)
            await until(lambda: bool(one.neighbours._departures))
            _, descriptors, _, _ = socket.recv_fds(taker, 16, 2)
            connection, answer = map(_adopted, descriptors)
            with connection:
                with answer:
                    answer.send(b"1")
                await one.neighbours.aclose()  # gives up what is under way
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
            client = await one.edge.connect()
            await ask(client, b"first")
            one.give_all(1)
            raw = client.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.hang_up()
            await until(lambda: not one.connections and not two.connections)
        other = await two.edge.connect()
        await ask(other, b"fine")
    assert not caplog.records


@on_both_loops
async def test_a_drain_amid_moves_loses_no_request(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        clients = [await one.edge.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            await ask(client, b"%d" % number)
        one.give_all(1)
        for number, client in enumerate(clients):
            client.send(post(b"again %d" % number))
        await one.edge.server.drain(5.0)
        for number, client in enumerate(clients):
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"again %d" % number)
        served = [len(w.edge.app.requests) for w in (one, two)]
        assert sum(served) == 12
        assert not one.connections
        assert len(two.connections) == served[1]
        assert one.board.read(one.edge.clock.now())[0] is None


@on_both_loops
async def test_one_that_drained_is_given_nothing(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.edge.connect()
        await ask(client, b"first")
        await two.edge.server.drain(5.0)
        one.give_all(1)
        await ask(client, b"second")
        await ask(client, b"third")
        assert (one.moved, len(one.connections)) == (0, 1)


@on_both_loops
async def test_a_neighbour_that_drains_takes_what_it_said_yes_to(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        clients = [await one.edge.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            await ask(client, b"%d" % number)
        one.give_all(1)
        for number, client in enumerate(clients):
            client.send(post(b"again %d" % number))
        await until(lambda: not one.neighbours._leaving)
        await two.edge.server.drain(5.0)
        for number, client in enumerate(clients):
            assert (await client.answer()).body == b"again %d" % number
        assert not two.connections


@on_both_loops
async def test_requests_without_end_while_all_moves(tmp_path: Path) -> None:
    async with workers(tmp_path, 3) as all_of_them:
        chance = random.Random(7)
        over = False

        async def keep_asking(number: int) -> int:
            client = await chance.choice(all_of_them).edge.connect()
            asked = 0
            while not over:
                bodies = [
                    b"%d:%d" % (number, asked + i) for i in range(chance.randint(1, 3))
                ]
                for body in bodies:
                    whole = post(body)
                    cut = chance.randint(1, len(whole))
                    client.send(whole[:cut])
                    if chance.random() < 0.3:
                        await asyncio.sleep(0)
                    client.send(whole[cut:])
                for body in bodies:
                    answer = await client.answer()
                    assert (answer.status, answer.body) == (200, body)
                asked += len(bodies)
            return asked

        tasks = [asyncio.create_task(keep_asking(number)) for number in range(12)]
        await until(lambda: sum(w.edge.server.connections for w in all_of_them) == 12)
        while sum(worker.moved for worker in all_of_them) < 400:
            for worker in all_of_them:
                worker.give_all(chance.randrange(3))
            for _ in range(chance.randint(1, 6)):
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                chance.choice(all_of_them).neighbours._keep_waiting()
        over = True
        asked = await asyncio.gather(*tasks)
        assert sum(asked) == sum(len(w.edge.app.requests) for w in all_of_them)
        assert sum(w.edge.server.connections for w in all_of_them) == 12


@on_both_loops
async def test_a_busy_worker_gives_by_itself(tmp_path: Path) -> None:
    rules = BalanceRules(interval_s=0.01, patience_s=0.0, answer_s=5.0)
    async with workers(tmp_path, 2, rules) as (one, two):
        clients = [await one.edge.connect() for _ in range(2)]
        # The test's process is all workers', so one says that it is idle.
        two.neighbours._measure = lambda edge, now: Load(0.0, 0)  # type: ignore[method-assign]
        while not one.moved:
            one.edge.clock.time += 0.0001  # an instant, on a core throughout
            two.edge.clock.time = one.edge.clock.time
            for client in clients:
                await ask(client, b"busy")
        await until(lambda: two.edge.server.connections == 1)
        for client in clients:
            await ask(client, b"fine")
        # One came a moment ago, and one of one is the whole load.
        assert (one.moved, two.moved) == (1, 0)
