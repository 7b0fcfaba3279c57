"""Headway's own pages, contexts, hooks, and the process of the model."""

import asyncio
import re

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import Metrics, scrape, scrape_until
from tests.serving.server import Server


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_health_probes(rows_server: Server, path: str) -> None:
    response = await request(rows_server.port, path, method="GET")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"


async def test_swagger_page_and_its_files(rows_server: Server) -> None:
    port = rows_server.port
    page = await request(port, "/", method="GET")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    text = page.body.decode()
    links = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert len(links) >= 2
    for link in links:
        assert "//" not in link, "the page has to work offline"
        asset = await request(port, "/" + link.removeprefix("./"), method="GET")
        assert asset.status == 200, link
        assert len(asset.body) > 100
    assert "./docs.json" in text


async def test_openapi_document(rows_server: Server) -> None:
    response = await request(rows_server.port, "/docs.json", method="GET")
    document = response.json()
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/double"]["post"]
    assert operation["summary"] == "Return the rows times two."
    assert "/v1/shout" in document["paths"]
    schemas = document["components"]["schemas"]
    assert schemas["Applicant"]["required"] == ["age", "income"]


async def test_metrics_are_summed_over_processes(rows_server: Server) -> None:
    port = rows_server.port
    before = await scrape(port)
    # Connections spread over the workers; each of these counts its own requests.
    for _ in range(20):
        async with await Connection.open(port) as connection:
            answers = [
                await connection.request("/mirror", {"x": i, "y": 0}) for i in range(5)
            ]
            assert {answer.status for answer in answers} == {200}
            assert (await connection.request("/mirror", {})).status == 400

    def grown(after: Metrics, name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    mirror = {"endpoint": "/mirror"}
    after = await scrape_until(
        port,
        lambda now: grown(now, "headway_requests_total", **mirror) >= 120,
    )
    assert grown(after, "headway_requests_total", code="200", **mirror) == 100
    assert grown(after, "headway_requests_total", code="400", **mirror) == 20
    assert grown(after, "headway_request_duration_seconds_count", **mirror) == 120
    assert after.total("headway_requests_in_progress") == 0
    assert after.total("headway_build_info") == 1


async def test_context_and_hooks(rows_server: Server) -> None:
    response = await request(
        rows_server.port, "/context?a=1&b=%20", "hi", headers={"X-From": "me"}
    )
    assert response.status == 201
    assert response.headers["x-greeting"] == "hello"
    assert response.body == b"/context?a=1&b=%20 me"


async def test_only_the_runner_imports_the_framework(rows_server: Server) -> None:
    names = ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"]
    runner = (await request(rows_server.port, "/about_runner", names)).json()
    workers = await asyncio.gather(
        *(request(rows_server.port, "/about_worker", names) for _ in range(20))
    )
    assert runner["has_framework"]
    if not rows_server.processes():
        return  # one process: it is all of them
    assert {worker.json()["has_framework"] for worker in workers} == {False}
    assert len({worker.json()["pid"] for worker in workers}) == 2
    environment = workers[0].json()["environment"]
    assert environment == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert runner["environment"] == {
        "OMP_NUM_THREADS": "3",
        "CUDA_VISIBLE_DEVICES": "5,7",
    }
