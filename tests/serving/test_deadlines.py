"""Deadlines, bounds and clients that hang up."""

import asyncio
import statistics
import time

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import scrape_until
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

ONE_WORKER = "api_server: {workers: 1}\n"


async def _read(port: int, path: str, body: object) -> Connection:
    """Return a connection whose request the server has read, but not answered."""
    connection = await Connection.open(port)
    connection.send(path, body)
    # Accepted and read after it, by the one worker.
    await request(port, "/livez", method="GET")
    return connection


async def test_the_deadline_of_a_request(production: bool) -> None:
    config = "api_server: {timeout: 0.3}"
    with Server("crawl:svc", production=production, config=config) as server:
        for path in ("/wait", "/block", "/nap"):
            began = time.monotonic()
            response = await request(server.port, path, "2")
            assert 0.25 < time.monotonic() - began < 1.5
            assert response.status == 504
            assert response.error["code"] == "deadline_exceeded"
        assert (await request(server.port, "/wait", "0")).status == 200


async def test_the_deadline_of_a_runner(production: bool) -> None:
    config = "runners: {crawler: {timeout: 0.3}}"
    with Server("crawl:svc", production=production, config=config) as server:
        began = time.monotonic()
        response = await request(server.port, "/nap", "1.5")
        assert 0.25 < time.monotonic() - began < 1.2
        assert (response.status, response.error["code"]) == (504, "deadline_exceeded")
        assert (await request(server.port, "/wait", "0.5")).status == 200


async def test_no_deadline(production: bool) -> None:
    config = "api_server: {timeout: null}\nrunners: {timeout: null}"
    with Server("crawl:svc", production=production, config=config) as server:
        assert (await request(server.port, "/nap", "0.2")).json() == 0.2
        assert (await request(server.port, "/crawl", [1, 2])).json() == [2, 4]


async def test_what_expires_in_the_queue_is_not_computed(production: bool) -> None:
    config = ONE_WORKER + "runners: {timeout: 0.4}"
    with Server("crawl:svc", production=production, config=config) as server:
        async with await _read(server.port, "/nap", "1"):
            began = time.monotonic()
            late = await request(server.port, "/crawl", [1, 2, 3])
            assert late.status in (503, 504), late
            assert time.monotonic() - began < 0.9
        answer = await request(server.port, "/crawl", [1])
        while answer.status != 200:  # the nap is not over
            await asyncio.sleep(0.02)
            answer = await request(server.port, "/crawl", [1])
        metrics = await scrape_until(server.port, lambda now: True)
        assert metrics.total("headway_runner_rows_total", method="crawl") == 1


async def test_max_concurrency(production: bool) -> None:
    config = "api_server: {workers: 1, max_concurrency: 4}"
    with Server("crawl:svc", production=production, config=config) as server:
        busy = [await _read(server.port, "/wait", "1") for _ in range(4)]
        refused = await request(server.port, "/wait", "1")
        assert (refused.status, refused.error["code"]) == (429, "too_many_requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await request(server.port, "/readyz", method="GET")).status == 200
        for connection in busy:
            assert (await connection.receive()).status == 200
            await connection.close()
        assert (await request(server.port, "/wait", "0")).status == 200
        metrics = await scrape_until(server.port, lambda now: True)
        assert metrics.total("headway_refused_total", reason="max_concurrency") == 1


@pytest.mark.parametrize("path", ["/crawl", "/crawl_sync"])
async def test_who_hangs_up_before_dispatch_costs_no_inference(
    production: bool, path: str
) -> None:
    with Server("crawl:svc", production=production, config=ONE_WORKER) as server:
        busy = await _read(server.port, "/nap", "0.6")
        gone = [await _read(server.port, path, [i, i, i]) for i in range(5)]
        for connection in gone:
            await connection.close()
        assert (await busy.receive()).status == 200
        await busy.close()
        assert (await request(server.port, "/crawl", [1])).json() == [2]
        metrics = await scrape_until(
            server.port, lambda now: now.total("headway_cancelled_rows_total") >= 15
        )
        assert metrics.total("headway_cancelled_rows_total", runner="crawler") == 15
        assert metrics.total("headway_runner_rows_total", method="crawl") == 1
        assert metrics.total("headway_requests_in_progress") == 0


async def test_two_runners_compute_at_the_same_time(production: bool) -> None:
    with Server("pair:svc", production=production) as server:
        # The best of three: the machine may have been busy with something else.
        assert min([await _median_s(server.port) for _ in range(3)]) < 0.06


async def _median_s(port: int) -> float:
    times = []
    async with await Connection.open(port) as connection:
        for i in range(9):
            began = time.monotonic()
            response = await connection.request("/both", [i])
            times.append(time.monotonic() - began)
            assert response.json() == [[i], [i]]
    return statistics.median(times)
