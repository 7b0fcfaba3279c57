"""Time-outs and draining, with a clock that the tests set."""

import asyncio
import socket

import pytest

from headway.config.schema import ApiServerConfig
from tests.http.edge import connected, on_both_loops, serving, turns, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HOLD = b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"


@on_both_loops
@pytest.mark.parametrize("requests", [0, 1])
async def test_an_idle_connection_is_closed(requests: int) -> None:
    async with connected(ApiServerConfig(keep_alive_timeout_s=75)) as (edge, client):
        for _ in range(requests):
            client.send(GET)
            await client.answer()
        await until(lambda: edge.connections == 1)
        edge.pass_time(74)
        client.send(GET)
        assert (await client.answer()).status == 200
        edge.pass_time(74)
        assert edge.connections == 1
        edge.pass_time(1)
        assert await client.rest() == b""


@on_both_loops
async def test_a_long_request_is_not_idle() -> None:
    async with connected(ApiServerConfig(keep_alive_timeout_s=75)) as (edge, client):
        held = await edge.hold(client)
        for _ in range(10):
            edge.pass_time(74)
        held.respond(200, b"text/plain", b"late")
        assert (await client.answer()).body == b"late"
        edge.pass_time(74)
        client.send(GET)
        assert (await client.answer()).status == 200


@on_both_loops
@pytest.mark.parametrize(
    "data",
    [
        GET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n" + b"x" * 89,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1",
    ],
    ids=["head", "body", "chunks"],
)
async def test_one_byte_per_second_ends_in_408(data: bytes) -> None:
    async with connected(ApiServerConfig(request_timeout_s=20)) as (edge, client):
        cut = len(data) - 22
        client.send(data[:cut])
        await until(lambda: edge.connections == 1)
        for second in range(20):
            assert not edge.app.rejected
            client.send(data[cut + second : cut + second + 1])
            await turns(5)
            edge.pass_time(1)
        edge.pass_time(1)
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await client.rest() == b""


@on_both_loops
async def test_each_of_several_late_requests_ends_in_408_and_a_close() -> None:
    late = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n"
    async with serving() as edge:
        clients = [await edge.connect() for _ in range(3)]
        for client in clients:
            client.send(late)
        await until(lambda: edge.connections == 3)
        await turns(5)
        edge.pass_time(31)
        for client in clients:
            client.send(GET)  # part of the body, not a request
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert await client.rest() == b""
        assert not edge.app.requests


@on_both_loops
async def test_408_follows_the_answers_to_earlier_requests() -> None:
    async with connected() as (edge, client):
        client.send(HOLD + b"GET / HT")
        await until(lambda: len(edge.app.held) == 1)
        edge.pass_time(31)
        assert len(edge.app.rejected) == 1
        edge.app.held[0].respond(200, b"text/plain", b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


@on_both_loops
async def test_a_client_that_never_reads_is_dropped() -> None:
    async with connected() as (edge, client):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        held = await edge.hold(client)
        held.respond(200, b"text/plain", b"x" * 50_000_000)
        await asyncio.sleep(0)
        edge.pass_time(1)
        edge.pass_time(28)
        assert edge.connections == 1
        edge.pass_time(30)
        edge.pass_time(30)
        await until(lambda: edge.connections == 0)


@on_both_loops
async def test_a_refused_client_that_stays_is_dropped() -> None:
    async with connected() as (edge, client):
        client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        edge.pass_time(1)
        assert edge.connections == 1
        edge.pass_time(1)
        await until(lambda: edge.connections == 0)


@on_both_loops
async def test_drain_answers_requests_in_flight() -> None:
    async with serving() as edge:
        busy, idle = await edge.connect(), await edge.connect()
        idle.send(GET)
        await idle.answer()
        busy.send(HOLD)
        await until(lambda: len(edge.app.held) == 1)
        drained = asyncio.create_task(edge.server.drain(30))
        assert await idle.rest() == b""
        assert not drained.done()
        with pytest.raises(ConnectionRefusedError):
            await edge.connect()
        edge.app.held[0].respond(200, b"text/plain", b"done")
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert await busy.rest() == b""
        await drained


@on_both_loops
async def test_drain_answers_a_pipeline_and_a_half_read_request() -> None:
    async with connected() as (edge, client):
        client.send(HOLD + HOLD + GET[:9])
        await until(lambda: len(edge.app.held) == 2)
        drained = asyncio.create_task(edge.server.drain(30))
        await turns(50)
        for request in edge.app.held:
            request.respond(200, b"text/plain", b"held")
        for _ in range(2):
            assert "connection" not in (await client.answer()).headers
        client.send(GET[9:])
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.rest() == b""
        await drained


@on_both_loops
async def test_drain_answers_connections_that_the_kernel_queued() -> None:
    async with serving() as edge:
        # Blocking calls: the loop has no turn in which it could accept them.
        clients = [
            socket.create_connection(("127.0.0.1", edge.port)) for _ in range(200)
        ]
        for client in clients:
            client.sendall(GET)
            client.settimeout(5)
        assert edge.connections == 0
        await edge.server.drain(30)
        for client in clients:
            with client, client.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200 OK\r\n")


@on_both_loops
async def test_drain_reads_requests_that_already_arrived() -> None:
    async with serving() as edge:
        clients = [
            socket.create_connection(("127.0.0.1", edge.port)) for _ in range(20)
        ]
        await until(lambda: edge.connections == 20)
        for client in clients:
            client.sendall(GET)
            client.settimeout(5)
        await edge.server.drain(30)
        for client in clients:
            with client, client.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200 OK\r\n")


@on_both_loops
async def test_drain_waits_for_the_first_request_of_a_connection() -> None:
    async with serving() as edge:
        slow, silent = await edge.connect(), await edge.connect()
        await until(lambda: edge.connections == 2)
        drained = asyncio.create_task(edge.server.drain(30))
        await turns(50)
        slow.send(GET)
        assert (await slow.answer()).headers["connection"] == "close"
        edge.pass_time(2)
        assert await silent.rest() == b""
        await drained


@on_both_loops
async def test_drain_ends_at_its_time_out() -> None:
    async with connected() as (edge, client):
        held = await edge.hold(client)
        drained = asyncio.create_task(edge.server.drain(5))
        await turns(50)
        edge.pass_time(4)
        assert edge.connections == 1
        edge.pass_time(1)
        await drained
        assert held.disconnected


@on_both_loops
async def test_aclose_drops_everything() -> None:
    async with connected() as (edge, client):
        held = await edge.hold(client)
        await edge.server.aclose()
        assert held.disconnected
        assert edge.connections == 0
