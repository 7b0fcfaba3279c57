"""/metrics is well-formed, and its counters never fall when processes are killed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from tests.observability.exposition_rules import counted, faults
from tests.serving.client import request
from tests.serving.load import Load
from tests.serving.metrics import Metrics
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

CLIENTS = 40
NAMES = (
    *("headway_requests_total", "headway_request_duration_seconds_count"),
    *("headway_runner_rows_total", "headway_runner_batch_size_rows_sum"),
    *("headway_runner_inference_seconds_sum", "headway_replica_busy_seconds_total"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = "api_server: {workers: 2}\nrunners: {restart: {delay_s: 0.05}}"
    with Server("crawl:svc", production=True, config=config) as server:
        yield server


class Watch:
    """Reads /metrics again and again, from any API worker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._changed = asyncio.Event()
        self.pages: list[str] = []

    async def run(self) -> None:
        while True:
            try:
                answer = await request(self._port, "/metrics", method="GET")
            except (ConnectionError, asyncio.IncompleteReadError):
                continue  # of the worker that was killed
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(
                "text/plain; version=0.0.4"
            )
            self.pages.append(answer.body.decode())
            self._changed.set()
            await asyncio.sleep(0.02)  # the load is to have its share, too

    async def wait_pages(self, count: int) -> None:
        """Wait until this many more have been read."""
        wanted = len(self.pages) + count
        async with asyncio.timeout(20):
            while len(self.pages) < wanted:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def watching(port: int) -> AsyncIterator[Watch]:
    watch = Watch(port)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("victim", ["api-0", "runner-crawler"])
async def test_counters_survive_killed_processes(server: Server, victim: str) -> None:
    port, mark = server.port, server.mark
    first = Metrics.parse((await request(port, "/metrics", method="GET")).body.decode())
    async with watching(port) as watch:
        async with Load(port, clients=CLIENTS) as load:
            await load.wait_answers(200)
            await watch.wait_pages(3)
            server.kill(victim)
            again = f"{victim} is ready again"
            await asyncio.to_thread(server.wait_for, again, after=mark)
            await load.wait_answers(200)
            await watch.wait_pages(3)
        await watch.wait_pages(1)
    for page in watch.pages:
        assert faults(page) == []
    values = [counted(page) for page in watch.pages]
    for earlier, later in pairwise(values):
        assert earlier.keys() <= later.keys()
        fallen = {
            series: (value, later[series])
            for series, value in earlier.items()
            if later[series] < value
        }
        assert fallen == {}
    last = Metrics.parse(watch.pages[-1])
    for name in NAMES:
        assert last.total(name) > Metrics.parse(watch.pages[0]).total(name), name
    answered = sum(answer.status == 200 for answer in load.answers)
    grown = [
        metrics.total("headway_requests_total", endpoint="/crawl", code="200")
        for metrics in (first, last)
    ]
    # A killed worker has at the most one answer of each connection on its conscience.
    assert abs(grown[1] - grown[0] - answered) <= CLIENTS
