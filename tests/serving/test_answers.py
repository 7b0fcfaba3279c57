"""Each request gets its own rows while thousands share batches."""

import asyncio
import random

import pytest

from tests.serving.client import Connection
from tests.serving.metrics import scrape
from tests.serving.server import Server

CONNECTIONS = 200
ROUNDS = 20
OVERSIZED = 250
"""Rows of a request that is larger than max_batch_size, and so is split."""


async def _check_own_answers(port: int, client: int, path: str, rounds: int) -> int:
    """Send rows that no other client sends; return how many were sent."""
    random_rows = random.Random(client)
    sent = 0
    async with await Connection.open(port) as connection:
        for turn in range(rounds):
            count = random_rows.choice([1, 1, 1, 2, 3, 7])
            if client % 50 == 0 and turn % 5 == 0:
                count = OVERSIZED
            first = (client * rounds + turn) * 1000
            rows = [[first + i, -first, 0.5, client] for i in range(count)]
            response = await connection.request(path, rows)
            assert response.status == 200, response
            assert response.json() == [[2 * x for x in row] for row in rows]
            sent += count
    return sent


@pytest.mark.timeout(60)
async def test_clients_that_share_batches_get_their_own_rows(
    rows_server: Server,
) -> None:
    port = rows_server.port
    before = await scrape(port)
    sent = await asyncio.gather(
        *(
            _check_own_answers(port, client, "/double", ROUNDS)
            for client in range(CONNECTIONS)
        )
    )
    after = await scrape(port)

    def grown(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    answered = grown("headway_requests_total", endpoint="/double", code="200")
    assert answered == CONNECTIONS * ROUNDS
    assert grown("headway_runner_rows_total", method="double") == sum(sent)
    batches = grown("headway_runner_batch_size_rows_count", method="double")
    rows = grown("headway_runner_batch_size_rows_sum", method="double")
    assert rows == sum(sent)
    assert rows / batches > 5  # joined, and not by chance
    small = after.total("headway_runner_batch_size_rows_bucket", le="128.0")
    assert small == after.total("headway_runner_batch_size_rows_count")


async def test_sync_functions_share_batches(rows_server: Server) -> None:
    port = rows_server.port
    before = await scrape(port)
    sent = await asyncio.gather(
        *(_check_own_answers(port, client, "/double_sync", 10) for client in range(40))
    )
    after = await scrape(port)
    name = "headway_runner_batch_size_rows_count"
    assert after.total(name) - before.total(name) < sum(sent) / 3


async def test_pipelined_requests_are_answered_in_order(rows_server: Server) -> None:
    async with await Connection.open(rows_server.port) as connection:
        for i in range(50):
            path = "/double" if i % 3 else "/v1/shout"
            connection.send(path, [[i, 0, 0, 0]] if i % 3 else f"message {i}")
        for i in range(50):
            response = await connection.receive()
            if i % 3:
                assert response.json() == [[2 * i, 0, 0, 0]]
            else:
                assert response.body == b"MESSAGE %d" % i


async def test_request_larger_than_max_batch_size_is_split_and_joined(
    rows_server: Server,
) -> None:
    rows = [[i, i + 0.25, -i, 1] for i in range(1234)]
    async with await Connection.open(rows_server.port) as connection:
        response = await connection.request("/double", rows)
    assert response.json() == [[2 * x for x in row] for row in rows]
