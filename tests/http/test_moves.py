"""Moving connections between servers: no request is lost, repeated or swapped."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headway.http import balancer
from headway.http.load_table import WorkerLoad
from tests.http.edge import Client, on_both_loops, until
from tests.http.workers import Worker, ask, post, workers


@on_both_loops
async def test_a_moved_connection_is_served_by_the_other_worker(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.client()
        one.move_all(1)
        await until(lambda: one.moved == 1)
        await until(lambda: not one.connections)
        for number in range(3):
            await ask(client, b"%d" % number)
        assert len(two.edge.app.requests) == 3
        # And back again.
        two.move_all(0)
        await until(lambda: two.moved == 1)
        await ask(client, b"last")
        assert [r.body for r in one.edge.app.requests] == [b"first", b"last"]
        client.writer.close()
        await until(lambda: not one.connections)


@on_both_loops
async def test_bytes_sent_during_a_move_are_read_by_the_other_worker(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.client()
        one.move_all(1)
        # Reading has stopped, so the kernel keeps all of this.
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
        client = await one.client()
        client.send(post(b"", "/hold"))
        await until(lambda: len(one.edge.app.held) == 1)
        one.move_all(1)
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
        client = await one.client()
        whole = post(b"in two parts")
        client.send(whole[:-5])
        (connection,) = one.connections
        await until(lambda: connection._reader.has_partial)
        one.move_all(1)
        client.send(whole[-5:])
        assert (await client.answer()).body == b"in two parts"
        await until(lambda: one.moved == 1)
        await ask(client, b"next")
        assert [len(w.edge.app.requests) for w in (one, two)] == [2, 1]


@on_both_loops
async def test_pipelined_requests_are_all_answered_first(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.client()
        client.send(post(b"", "/hold") + post(b"a") + post(b"b"))
        await until(lambda: len(one.edge.app.requests) == 4)
        one.move_all(1)
        one.edge.app.held[0].respond(200, b"text/plain", b"held")
        assert [(await client.answer()).body for _ in range(3)] == [b"held", b"a", b"b"]
        await until(lambda: one.moved == 1)
        await ask(client, b"next")
        assert len(two.edge.app.requests) == 1


@on_both_loops
async def test_a_connection_with_unsent_answers_does_not_move(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.client()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = one.connections
        big, sent = b"x" * 30_000, 0
        transport = connection.transport
        assert transport is not None
        while not transport.get_write_buffer_size():
            client.send(post(big))
            sent += 1
            await until(lambda: len(one.edge.app.requests) == 1 + sent)  # noqa: B023
        one.move_all(1)
        await until(lambda: not one.balancer._leaving)
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(sent):
            assert (await client.answer()).body == big
        await ask(client, b"last")
        assert (one.moved, len(two.edge.app.requests)) == (0, 0)
        one.move_all(1)
        await until(lambda: one.moved == 1)


@on_both_loops
async def test_a_drain_amid_moves_loses_no_request(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        clients = [await one.edge.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            await ask(client, b"%d" % number)
        one.move_all(1)
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
        assert one.table.read(one.edge.clock.now())[0] is None


@on_both_loops
async def test_a_drained_worker_gets_no_connection(tmp_path: Path) -> None:
    async with workers(tmp_path) as (one, two):
        client = await one.client()
        await two.edge.server.drain(5.0)
        one.move_all(1)
        await ask(client, b"second")
        await ask(client, b"third")
        assert (one.moved, len(one.connections)) == (0, 1)


@on_both_loops
async def test_a_draining_worker_serves_connections_it_took(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path) as (one, two):
        clients = [await one.edge.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            await ask(client, b"%d" % number)
        one.move_all(1)
        for number, client in enumerate(clients):
            client.send(post(b"again %d" % number))
        await until(lambda: not one.balancer._leaving)
        await two.edge.server.drain(5.0)
        for number, client in enumerate(clients):
            assert (await client.answer()).body == b"again %d" % number
        assert not two.connections


@on_both_loops
async def test_no_request_is_lost_or_doubled_while_all_connections_move(
    tmp_path: Path,
) -> None:
    async with workers(tmp_path, 3) as all_of_them:
        chance = random.Random(7)
        over = False

        async def keep_asking(number: int) -> int:
            client = await chance.choice(all_of_them).edge.connect()
            sent = 0
            while not over:
                bodies = [
                    b"%d:%d" % (number, sent + i) for i in range(chance.randint(1, 3))
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
                sent += len(bodies)
            return sent

        tasks = [asyncio.create_task(keep_asking(number)) for number in range(12)]
        await until(lambda: sum(w.edge.connections for w in all_of_them) == 12)
        while sum(worker.moved for worker in all_of_them) < 400:
            for worker in all_of_them:
                worker.move_all(chance.randrange(3))
            for _ in range(chance.randint(1, 6)):
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                chance.choice(all_of_them).balancer.keep_leaving()
        over = True
        sent = await asyncio.gather(*tasks)
        assert sum(sent) == sum(len(w.edge.app.requests) for w in all_of_them)
        assert sum(w.edge.connections for w in all_of_them) == 12


@on_both_loops
async def test_a_busy_worker_moves_connections_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancer, "_SUSTAINED_S", 0.0)
    async with workers(tmp_path, interval_s=0.01) as (one, two):
        clients = [await one.edge.connect() for _ in range(2)]
        # Both workers measure this process, so one must not: it stays idle.
        two.balancer._measure = lambda state, now: None  # type: ignore[method-assign]
        while not one.moved:
            one.edge.clock.time += 0.0001  # an instant, on a core throughout
            two.edge.clock.time = one.edge.clock.time
            for client in clients:
                await ask(client, b"busy")
        await until(lambda: two.edge.connections == 1)
        for client in clients:
            await ask(client, b"fine")
        # One moved just now, and the other is its worker's entire load.
        assert (one.moved, two.moved) == (1, 0)


class Looks:
    """Two workers' looks at the loads, every 0.25 s of a clock that the test moves.

    Every client sends a request before each look, and the second worker is idle.
    """

    def __init__(
        self,
        one: Worker,
        two: Worker,
        clients: list[Client],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.one = one
        self.two = two
        self.clients = clients
        self.demand_s = 0.0
        monkeypatch.setattr(balancer, "cpu_demand_s", lambda: self.demand_s)
        one.balancer._wanted_s = 0.0

    async def moved(self, shares: list[float]) -> list[int]:
        """Return the connections moved so far, after a look at each of these loads."""
        return [await self._look(share) for share in shares]

    async def _look(self, share: float) -> int:
        one, two = self.one, self.two
        one.edge.clock.time += 0.25
        two.edge.clock.time = one.edge.clock.time
        for client in self.clients:
            await ask(client, b"busy")
        self.demand_s += share * 0.25
        two.table.publish(WorkerLoad(0.0, 0), one.edge.clock.now())
        one.balancer._look()
        await until(lambda: not (one.balancer._leaving or one.balancer._moves))
        return one.moved


@asynccontextmanager
async def looking(
    folder: Path, monkeypatch: pytest.MonkeyPatch, clients: int
) -> AsyncIterator[Looks]:
    async with workers(folder) as (one, two):
        connected = [await one.edge.connect() for _ in range(clients)]
        yield Looks(one, two, connected, monkeypatch)


async def test_a_short_burst_moves_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking(tmp_path, monkeypatch, clients=8) as looks:
        # Each burst begins a new wait: ten of them move nothing either.
        assert await looks.moved([1.0, 0.0, 0.0, 0.0] * 10) == [0] * 40
        # A gap that lasts half a second moves about half of the load.
        assert await looks.moved([1.0, 1.0, 1.0]) == [0, 0, 4]


async def test_after_a_move_a_worker_rests_for_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking(tmp_path, monkeypatch, clients=8) as looks:
        first, *resting, second = (await looks.moved([1.0] * 7))[2:]
        assert (first, resting, second) == (4, [4, 4, 4], 6)
