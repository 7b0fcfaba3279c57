"""The live page's data, from any API worker and across dead processes."""

import asyncio
import time
from typing import Any

import pytest

from tests.serving.client import request
from tests.serving.load import Load
from tests.serving.metrics import Metrics, scrape
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each


async def history(port: int, since: int = 0) -> Any:
    """Return the data of one of the API workers."""
    answer = await request(port, f"/-/live/data?since={since}", method="GET")
    assert answer.status == 200
    return answer.json()


async def history_until(port: int, seconds: int, timeout_s: float = 10) -> Any:
    """Return the history once it has this many more seconds."""
    deadline = time.monotonic() + timeout_s
    first = (await history(port))["newest"]
    while (found := await history(port))["newest"] < first + seconds:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)  # there is no event to wait for
    return found


def counters(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all that may only grow."""
    return {
        (name, frozenset(labels.items())): value
        for name, labels, value in metrics.samples
        if name.endswith(("_total", "_count", "_sum", "_bucket"))
    }


async def test_live_counters_survive_dead_processes() -> None:
    config = "api_server: {workers: 2}\nrunners: {restart: {delay_s: 0.05}}"
    with Server("crawl:svc", production=True, config=config) as server:
        before = counters(await scrape(server.port))
        grown = 0.0
        async with Load(server.port, clients=20) as load:
            for name in ("api-0", "runner-crawler"):
                mark = server.mark
                await load.wait_answers(100)
                server.kill(name)
                again = asyncio.create_task(
                    asyncio.to_thread(
                        server.wait_for, f"{name} is ready again", after=mark
                    )
                )
                while not again.done():
                    after = counters(await scrape(server.port))
                    fallen = {key for key in before if after.get(key, -1) < before[key]}
                    assert not fallen
                    grown += sum(after.values()) - sum(before.values())
                    before = after
                await again
            await load.wait_answers(100)
        assert grown > 0
        # Each worker has the same history, which no death has interrupted.
        found = await history_until(server.port, 2)
        numbers = [second["number"] for second in found["seconds"]]
        assert numbers == list(range(1, found["newest"] + 1))
        assert found["totals"]["restarts"] == {"api-0": 1, "runner-crawler": 1}
        [crawler] = found["totals"]["runners"]
        assert crawler["replicas"][0]["restarts"] == 1
        assert crawler["replicas"][0]["is_up"]
        metrics = await scrape(server.port)
        assert crawler["rows"] == metrics.total("headway_runner_rows_total")
        assert sum(entry[2] for entry in found["totals"]["answered"]) == metrics.total(
            "headway_requests_total"
        )
        later = await history(server.port, since=found["newest"] - 1)
        assert later["run"] == found["run"]
        assert later["seconds"][0]["number"] == found["newest"]


async def test_live_page_of_one_process() -> None:
    with Server("crawl:svc") as server:
        index = await request(server.port, "/", method="GET")
        assert b'href="./-/live"' in index.body
        page = await request(server.port, "/-/live", method="GET")
        assert page.status == 200
        script = await request(server.port, "/-/live/plotly.js", method="GET")
        assert script.headers["content-encoding"] == "gzip"
        assert "max-age" in script.headers["cache-control"]
        assert (await request(server.port, "/crawl", [1])).status == 200
        totals = (await history_until(server.port, 2))["totals"]
        assert totals["answered"] == [["/crawl", "200", 1]]
        assert totals["runners"][0]["costs"]["crawl"][0][0] == 1


async def test_live_page_can_be_disabled() -> None:
    with Server("crawl:svc", "--live", "false") as server:
        for path in ("/-/live", "/-/live/data", "/-/live/live.js"):
            assert (await request(server.port, path, method="GET")).status == 404
        index = await request(server.port, "/", method="GET")
        assert b"/-/live" not in index.body
        assert not any(server.folder.glob("headway-*/history"))
