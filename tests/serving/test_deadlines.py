"""Deadlines, bounds, and clients that hang up."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import Metrics, scrape, scrape_until
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

_PATIENT = """
api_server: {workers: 1, timeout: null, max_concurrency: 8}
runners: {timeout: null}
"""


@pytest.fixture(scope="module", params=["embedded", "production"])
def patient(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a server without deadlines."""
    is_production = request.param == "production"
    with Server("crawl:svc", production=is_production, config=_PATIENT) as server:
        yield server


class Gate:
    """A named pipe, whose reader blocks until it is opened once."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.body = json.dumps(str(path))
        """The body of a request that blocks on it."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the reader; release it at the end."""
        with self._path.open("w"):
            yield

    def open(self) -> None:
        """Release the reader of the gate; waits for one."""
        with self.held():
            pass


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


async def test_request_timeout_is_answered_504(
    production: bool, tmp_path: Path
) -> None:
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


async def test_runner_timeout_is_answered_504(production: bool, gate: Gate) -> None:
    """A call expires during its computation, and another one while it waits."""
    config = "api_server: {workers: 1}\nrunners: {timeout: 0.4}"
    with Server("crawl:svc", production=production, config=config) as server:
        port = server.port
        began = time.monotonic()
        async with await _read(port, "/hold", gate.body) as held:
            waiting = await request(port, "/crawl", [1, 2, 3])
            assert waiting.status in (503, 504), waiting
            late = await held.receive()
        assert time.monotonic() - began > 0.35
        assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
        gate.open()  # until here it was held
        answer = await request(port, "/nap", "0")
        while answer.status != 200:  # its time was over before the model's
            await asyncio.sleep(0.02)
            answer = await request(port, "/nap", "0")
        rows = "headway_runner_rows_total"
        metrics = await scrape_until(port, lambda now: now.total(rows) > 0)
        assert metrics.total(rows, method="crawl") == 0, (
            "expired calls are not computed"
        )
        assert (await request(port, "/wait", "0.5")).status == 200


async def test_timeout_null_means_no_deadline(patient: Server) -> None:
    assert (await request(patient.port, "/nap", "0.2")).json() == 0.2
    assert (await request(patient.port, "/crawl", [1, 2])).json() == [2, 4]


async def test_max_concurrency_is_answered_429(patient: Server, gate: Gate) -> None:
    before = await scrape(patient.port)
    busy = [await _read(patient.port, "/hold", gate.body) for _ in range(8)]
    refused = await request(patient.port, "/wait", "0")
    assert (refused.status, refused.error["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await request(patient.port, "/readyz", method="GET")).status == 200
    for connection in busy:  # the model has one at a time
        gate.open()
        assert (await connection.receive()).status == 200
        await connection.close()
    assert (await request(patient.port, "/wait", "0")).status == 200
    after = await scrape(patient.port)
    name = "headway_refused_total"
    assert _grown(before, after, name, reason="max_concurrency") == 1


@pytest.mark.parametrize("path", ["/crawl", "/crawl_sync"])
async def test_hang_up_before_dispatch_costs_no_inference(
    patient: Server, path: str, gate: Gate
) -> None:
    port = patient.port
    before = await scrape(port)
    busy = await _read(port, "/hold", gate.body)
    with gate.held():
        gone = [await _read(port, path, [i, i, i]) for i in range(5)]
        for connection in gone:
            await connection.close()
        await scrape_until(  # the API worker has cancelled them
            port, lambda now: now.total("headway_requests_in_progress") == 1
        )
    assert (await busy.receive()).status == 200
    await busy.close()
    assert (await request(port, "/crawl", [1])).json() == [2]
    cancelled, computed = "headway_cancelled_rows_total", "headway_runner_rows_total"
    after = await scrape_until(  # it counts once it has answered
        port,
        lambda now: (
            _grown(before, now, cancelled) >= 15
            and _grown(before, now, computed, method="crawl") > 0
        ),
    )
    assert _grown(before, after, cancelled, runner="crawler") == 15
    assert _grown(before, after, computed, method="crawl") == 1
    assert after.total("headway_requests_in_progress") == 0


def _grown(before: Metrics, after: Metrics, name: str, **labels: str) -> float:
    return after.total(name, **labels) - before.total(name, **labels)


async def test_two_runners_compute_in_parallel(
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
