"""Processes that die under load: failed requests, restarts, and service afterwards."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from tests.serving.client import Response, request
from tests.serving.load import Load
from tests.serving.metrics import scrape
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

SOON_S = 10
"""Far below the time-out of 60 s, far above the time of a batch."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # The runner is away for long enough that it is seen, however busy the machine is.
    config = "api_server: {workers: 2}\nrunners: {restart: {delay_s: 1}}"
    with Server("crawl:svc", production=True, config=config) as server:
        yield server


async def _restarts(port: int, process: str) -> float:
    metrics = await scrape(port)
    return metrics.total("headway_process_restarts_total", process=process)


async def test_killed_runner_fails_its_calls_and_restarts(server: Server) -> None:
    port, mark = server.port, server.mark
    before = await _restarts(port, "runner-crawler")
    async with Load(port) as load:
        await load.wait_answers(200)
        server.kill("runner-crawler")
        await load.wait_answers(1, 503)
        ready = await request(port, "/readyz", method="GET")
        while ready.status == 200:  # of the worker that has not noticed yet
            assert not server.has("crawler is ready again", after=mark)
            ready = await request(port, "/readyz", method="GET")
        assert ready.status == 503
        assert ready.json()["runners"] == {"crawler": False}
        await asyncio.to_thread(server.wait_for, "crawler is ready again", after=mark)
        await load.wait_answers(200)
    server.wait_for("runner-crawler was killed by SIGKILL", after=mark)
    codes = set()
    for answer in load.answers:
        assert answer.took_s < SOON_S
        assert answer.response is not None
        if answer.status == 503:
            codes.add(answer.response.error["code"])
            assert int(answer.response.headers["retry-after"]) >= 1
        else:
            assert answer.status == 200
    assert codes == {"runner_lost", "unavailable"}
    assert await _restarts(port, "runner-crawler") == before + 1
    assert (await request(port, "/readyz", method="GET")).status == 200


async def _pids(port: int) -> set[int]:
    """Return the API workers that many new connections reach."""

    async def ask() -> Response:
        return await request(port, "/pid")

    answers = await asyncio.gather(*(ask() for _ in range(60)))
    return {answer.json() for answer in answers}


async def test_killed_api_worker_restarts(server: Server) -> None:
    port, mark = server.port, server.mark
    clients = 40
    before = await _restarts(port, "api-0")
    async with Load(port, clients=clients) as load:
        await load.wait_answers(200)
        server.kill("api-0")
        await asyncio.to_thread(server.wait_for, "api-0 is ready again", after=mark)
        await load.wait_answers(400)
    statuses = [answer.status for answer in load.answers]
    assert set(statuses) == {200, 0}
    # One request on each of its connections, and none twice.
    assert 0 < statuses.count(0) < clients
    assert await _restarts(port, "api-0") == before + 1
    assert await _pids(port) == _api_pids(server)


def _api_pids(server: Server) -> set[int]:
    return {pid for name, pid in server.processes().items() if name.startswith("api")}


async def test_api_worker_that_gets_sigterm_alone_drains_and_restarts(
    server: Server,
) -> None:
    """It drains, and its successor serves the same listening socket."""
    mark = server.mark
    async with Load(server.port) as load:
        await load.wait_answers(200)
        os.kill(server.processes()["api-1"], signal.SIGTERM)
        await asyncio.to_thread(server.wait_for, "api-1 is ready again", after=mark)
        await load.wait_answers(200)
    assert {answer.status for answer in load.answers} <= {200, 0}
    assert await _pids(server.port) == _api_pids(server)


@pytest.fixture(scope="module")
def replicas() -> Iterator[Server]:
    """Return a server with two replicas, which the tests leave as it was."""
    config = "runners: {workers_per_resource: 2}\napi_server: {workers: 1}"
    with Server("crawl:svc", production=True, config=config) as server:
        yield server


REPLICAS = ("replica-crawler-0", "replica-crawler-1")


async def test_killed_replica_loses_no_request(replicas: Server) -> None:
    names = {"api-0", "runner-crawler", *REPLICAS}
    assert set(replicas.processes()) == names
    async with Load(replicas.port) as load:
        for name in REPLICAS:
            mark = replicas.mark
            await load.wait_answers(200)
            replicas.kill(name)
            again = f"{name} is ready again"
            await asyncio.to_thread(replicas.wait_for, again, after=mark)
        await load.wait_answers(200)
    assert {answer.status for answer in load.answers} == {200}
    assert max(answer.took_s for answer in load.answers) < SOON_S


async def test_killed_runner_of_replicas_restarts(replicas: Server) -> None:
    mark = replicas.mark
    async with Load(replicas.port) as load:
        await load.wait_answers(200)
        replicas.kill("runner-crawler")
        again = "runner-crawler is ready again"
        await asyncio.to_thread(replicas.wait_for, again, after=mark)
        await load.wait_answers(200)
    assert {answer.status for answer in load.answers} == {200, 503}
    assert max(answer.took_s for answer in load.answers) < SOON_S


async def test_all_replicas_killed_at_once(replicas: Server) -> None:
    mark = replicas.mark
    async with Load(replicas.port) as load:
        await load.wait_answers(200)
        for name in REPLICAS:
            replicas.kill(name)
        for name in REPLICAS:
            again = f"{name} is ready again"
            await asyncio.to_thread(replicas.wait_for, again, after=mark)
        await load.wait_answers(200)
    assert {answer.status for answer in load.answers} <= {200, 503}
    assert max(answer.took_s for answer in load.answers) < SOON_S
