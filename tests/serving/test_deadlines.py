"""Deadlines, bounds and clients that hang up."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import scrape_until
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

ONE_WORKER = "api_server: {workers: 1}\n"


class Gate:
    """A named pipe: who reads it is held until it is opened once."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.body = json.dumps(str(path))
        """For a request to be held."""

    def open(self) -> None:
        """Let whoever reads it go on; waits for somebody who does."""
        self._path.write_text("open")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


async def _read(port: int, path: str, body: object) -> Connection:
    """Return a connection whose request the server has read, but not answered."""
    connection = await Connection.open(port)
    connection.send(path, body)
    # Accepted and read after it, by the one worker.
    await request(port, "/livez", method="GET")
    return connection


async def test_the_deadline_of_a_request(production: bool, tmp_path: Path) -> None:
    config = "api_server: {timeout: 0.3}"
    gates = {path: Gate(tmp_path / path[1:]) for path in ("/block", "/hold")}
    with Server("crawl:svc", production=production, config=config) as server:
        for path in ("/wait", "/block", "/hold"):
            began = time.monotonic()
            body = gates[path].body if path in gates else "60"
            response = await request(server.port, path, body)
            assert time.monotonic() - began > 0.25
            assert response.status == 504
            assert response.error["code"] == "deadline_exceeded"
        for gate in gates.values():
            gate.open()  # until here it was held
        assert (await request(server.port, "/wait", "0")).status == 200


async def test_the_deadline_of_a_runner(production: bool, gate: Gate) -> None:
    config = "runners: {crawler: {timeout: 0.3}}"
    with Server("crawl:svc", production=production, config=config) as server:
        began = time.monotonic()
        response = await request(server.port, "/hold", gate.body)
        assert time.monotonic() - began > 0.25
        assert (response.status, response.error["code"]) == (504, "deadline_exceeded")
        gate.open()  # until here it was held
        assert (await request(server.port, "/wait", "0.5")).status == 200


async def test_no_deadline(production: bool) -> None:
    config = "api_server: {timeout: null}\nrunners: {timeout: null}"
    with Server("crawl:svc", production=production, config=config) as server:
        assert (await request(server.port, "/nap", "0.2")).json() == 0.2
        assert (await request(server.port, "/crawl", [1, 2])).json() == [2, 4]


async def test_what_expires_in_the_queue_is_not_computed(
    production: bool, gate: Gate
) -> None:
    config = ONE_WORKER + "runners: {timeout: 0.4}"
    with Server("crawl:svc", production=production, config=config) as server:
        async with await _read(server.port, "/hold", gate.body):
            late = await request(server.port, "/crawl", [1, 2, 3])
            assert late.status in (503, 504), late
        gate.open()  # until here it was held
        while (await request(server.port, "/nap", "0")).status != 200:
            await asyncio.sleep(0.02)  # it has not been told yet
        metrics = await scrape_until(server.port, lambda now: True)
        assert metrics.total("headway_runner_rows_total", method="nap") >= 1
        assert metrics.total("headway_runner_rows_total", method="crawl") == 0


async def test_max_concurrency(production: bool, gate: Gate) -> None:
    config = "api_server: {workers: 1, max_concurrency: 4}"
    with Server("crawl:svc", production=production, config=config) as server:
        busy = [await _read(server.port, "/hold", gate.body) for _ in range(4)]
        refused = await request(server.port, "/wait", "0")
        assert (refused.status, refused.error["code"]) == (429, "too_many_requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await request(server.port, "/readyz", method="GET")).status == 200
        for connection in busy:  # the model has one at a time
            gate.open()
            assert (await connection.receive()).status == 200
            await connection.close()
        assert (await request(server.port, "/wait", "0")).status == 200
        metrics = await scrape_until(server.port, lambda now: True)
        assert metrics.total("headway_refused_total", reason="max_concurrency") == 1


@pytest.mark.parametrize("path", ["/crawl", "/crawl_sync"])
async def test_who_hangs_up_before_dispatch_costs_no_inference(
    production: bool, path: str, gate: Gate
) -> None:
    with Server("crawl:svc", production=production, config=ONE_WORKER) as server:
        busy = await _read(server.port, "/hold", gate.body)
        gone = [await _read(server.port, path, [i, i, i]) for i in range(5)]
        for connection in gone:
            await connection.close()
        await scrape_until(  # the API worker has cancelled them
            server.port, lambda now: now.total("headway_requests_in_progress") == 1
        )
        gate.open()
        assert (await busy.receive()).status == 200
        await busy.close()
        assert (await request(server.port, "/crawl", [1])).json() == [2]
        metrics = await scrape_until(
            server.port, lambda now: now.total("headway_cancelled_rows_total") >= 15
        )
        assert metrics.total("headway_cancelled_rows_total", runner="crawler") == 15
        assert metrics.total("headway_runner_rows_total", method="crawl") == 1
        assert metrics.total("headway_requests_in_progress") == 0


async def test_two_runners_compute_at_the_same_time(
    production: bool, tmp_path: Path
) -> None:
    meeting = tmp_path / "meeting"
    os.mkfifo(meeting)
    environment = {"MEETING": str(meeting)}
    with Server("pair:svc", production=production, environment=environment) as server:
        async with await Connection.open(server.port) as connection:
            for i in range(9):
                response = await connection.request("/both", [i])
                assert response.json() == [[i], [i]]
