"""Telemetry of requests: Server-Timing, request IDs and log lines."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.client import Connection, Response, request
from tests.serving.metrics import scrape_until
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # a server with several processes starts

_CONFIG = """
api_server: {workers: 1, server_timing: true, request_ids: true}
logging: {access: true, format: json}
"""


@pytest.fixture(scope="module", params=["embedded", "production", "middleware"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return one process, several, and one whose requests pass through middleware."""
    with Server(
        "observed:svc",
        production=request.param == "production",
        config=_CONFIG,
        environment={"MIDDLEWARE": "1" if request.param == "middleware" else ""},
    ) as made:
        yield made


def timing(answer: Response) -> list[tuple[str, str, float | None]]:
    """Return the name, description and milliseconds of each metric."""
    found = []
    for metric in answer.headers["server-timing"].split(", "):
        match = re.fullmatch(r'(\w+)(?:;desc="([^"]*)")?(?:;dur=([\d.]+))?', metric)
        assert match is not None, metric
        name, description, duration = match.groups()
        found.append((name, description or "", float(duration) if duration else None))
    return found


def names(answer: Response) -> list[str]:
    return [name for name, _, _ in timing(answer)]


async def lines_of(server: Server, request_id: str, *, mark: int) -> list[Any]:
    """Return the records of a request, once its access was logged."""
    await asyncio.to_thread(
        server.wait_for, rf'headway\.access.*"request_id":"{request_id}"', after=mark
    )
    lines = server.log.splitlines()[mark:]
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return [record for record in records if record.get("request_id") == request_id]


async def test_server_timing_of_a_call(server: Server) -> None:
    for path in ("/double", "/double_sync"):
        answer = await request(server.port, path, "4")
        assert answer.json() == 8
        metrics = {name: value for name, _, value in timing(answer)}
        assert list(metrics) == [
            *("parse", "queue", "batch", "compute", "encode", "total"),
        ]
        assert ("batch", "1 row", None) in timing(answer)
        parts = [metrics[name] for name in ("parse", "queue", "compute", "encode")]
        assert all(part is not None and part >= 0 for part in parts)
        assert sum(part or 0 for part in parts) <= (metrics["total"] or 0) + 0.01


async def test_server_timing_names_each_runner(server: Server) -> None:
    answer = await request(server.port, "/both", "4")
    assert answer.json() == [8, 2]
    described = [(name, description) for name, description, _ in timing(answer)]
    assert described == [
        ("parse", ""),
        *(("queue", "doubler.double"), ("batch", "doubler.double: 1 row")),
        ("compute", "doubler.double"),
        *(("queue", "halver.halve"), ("batch", "halver.halve: 1 row")),
        ("compute", "halver.halve"),
        *(("encode", ""), ("total", "")),
    ]


async def test_server_timing_counts_the_rows_of_the_batch(server: Server) -> None:
    rows = [1]
    while max(rows) == 1:  # no two of them met: the machine was busy
        async with Connections(server.port, 24) as connections:
            for connection in connections:
                connection.send("/double", "4")
            answers = [await connection.receive() for connection in connections]
        rows = [
            int(description.split()[0])
            for answer in answers
            for name, description, _ in timing(answer)
            if name == "batch"
        ]
        assert len(rows) == 24


async def test_server_timing_of_failed_requests(server: Server) -> None:
    failed = await request(server.port, "/double", "-1")
    assert names(failed) == ["parse", "failed", "total"]
    assert timing(failed)[1][1] == "model_failed"
    assert names(await request(server.port, "/double", "x")) == ["total"]
    assert names(await request(server.port, "/nowhere")) == ["total"]
    late = await request(
        server.port, "/wait", "1", headers={"headway-timeout-ms": "150"}
    )
    assert late.status == 504
    assert names(late) == ["parse", "total"]


async def test_request_id_is_in_all_log_lines_of_the_request(server: Server) -> None:
    mark = server.mark
    for path, said in (
        ("/double", ["doubling 4", "doubled 4"]),
        ("/double_sync", ["doubling 4 in a thread"]),
    ):
        request_id = f"mine{path.replace('/', '.')}"
        answer = await request(
            server.port, path, "4", headers={"x-request-id": request_id}
        )
        assert answer.headers["x-request-id"] == request_id
        records = await lines_of(server, request_id, mark=mark)
        messages = [
            record["message"] for record in records if record["logger"] == "service"
        ]
        assert [text for text in messages if "passing" not in text] == said
        passed = server.has(f'"passing {path}"', after=mark)
        assert len(messages) - len(said) == passed
        access = records[-1]
        assert (access["path"], access["status"]) == (path, 200)
        assert access["bytes"] == len(answer.body)


async def test_request_ids_of_concurrent_requests_do_not_mix(server: Server) -> None:
    mark = server.mark
    async with Connections(server.port, 20) as connections:
        for number, connection in enumerate(connections):
            connection.send(
                "/double", str(number), headers={"x-request-id": f"many-{number}"}
            )
        for number, connection in enumerate(connections):
            answer = await connection.receive()
            assert answer.headers["x-request-id"] == f"many-{number}"
            assert answer.json() == 2 * number
    for number in range(20):
        records = await lines_of(server, f"many-{number}", mark=mark)
        said = [record["message"] for record in records if "doubl" in record["message"]]
        assert [text for text in said if "passing" not in text][:2] == [
            f"doubling {number}",
            f"doubled {number}",
        ]


async def test_request_id_is_generated(server: Server) -> None:
    answers = [
        await request(server.port, "/name", "1"),
        await request(server.port, "/name", "1", headers={"x-request-id": 'a"b'}),
        await request(server.port, "/livez", method="GET"),
    ]
    made = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{10}-[0-9a-f]+", name) for name in made)
    assert [answer.json() for answer in answers[:2]] == made[:2]


async def test_errors_have_the_request_id(server: Server) -> None:
    mark = server.mark
    for path, body, status in (
        ("/double", "x", 400),
        ("/double", "-1", 500),
        ("/boom", "1", 500),
        ("/nowhere", "1", 404),
        ("/wait", "1", 504),
    ):
        request_id = f"error{path.replace('/', '.')}.{status}"
        headers = {"x-request-id": request_id, "headway-timeout-ms": "3000"}
        if status == 504:
            headers["headway-timeout-ms"] = "150"
        answer = await request(server.port, path, body, headers=headers)
        assert (answer.status, answer.error["request_id"]) == (status, request_id)
        assert answer.headers["x-request-id"] == request_id
        records = await lines_of(server, request_id, mark=mark)
        errors = [record for record in records if record["level"] == "ERROR"]
        assert len(errors) == (1 if status == 500 else 0)
        for record in errors:
            assert answer.error["id"] in record["message"]
    malformed = await Connection.open(server.port)
    async with malformed as connection:
        connection.send("/a\x7f", "1")
        answer = await connection.receive()
    assert answer.status == 400
    assert answer.error["request_id"] == answer.headers["x-request-id"]


async def test_hang_up_is_logged_with_the_request_id(server: Server) -> None:
    mark = server.mark
    async with await Connection.open(server.port) as connection:
        connection.send("/wait", "1", headers={"x-request-id": "gone"})
        await scrape_until(
            server.port, lambda now: now.total("headway_requests_in_progress") == 1
        )
    (access,) = [
        record
        for record in await lines_of(server, "gone", mark=mark)
        if record["logger"] == "headway.access"
    ]
    assert access["status"] == 499


async def test_text_lines_begin_with_the_request_id() -> None:
    config = "api_server: {request_ids: true}"
    with Server("observed:svc", config=config) as server:
        headers = {"x-request-id": "mine"}
        answer = await request(server.port, "/double", "1", headers=headers)
        assert "server-timing" not in answer.headers
        line = await asyncio.to_thread(server.wait_for, "doubled 1")
        assert line.endswith(" INFO embedded [mine] doubled 1\n")
        assert server.stop() == 0
        assert not server.has("headway.access")
        assert not server.has("POST /double")


async def test_telemetry_is_off_by_default(rows_server: Server) -> None:
    for path in ("/double", "/nowhere"):
        answer = await request(
            rows_server.port, path, "[[1,2,3,4]]", headers={"x-request-id": "mine"}
        )
        assert answer.headers.keys() == {"date", "content-type", "content-length"}
        assert b"mine" not in answer.body


async def test_access_log_is_flushed_at_the_end(production: bool) -> None:
    with Server("observed:svc", production=production, config=_CONFIG) as server:
        async with Connections(server.port, 20) as connections:
            for _ in range(20):
                for connection in connections:
                    connection.send("/name", "1")
                for connection in connections:
                    assert (await connection.receive()).status == 200
        assert server.stop() == 0
        assert server.log.count('"headway.access"') == 400


class Connections:
    """Several keep-alive connections."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number

    async def __aenter__(self) -> list[Connection]:
        self._made = [await Connection.open(self._port) for _ in range(self._number)]
        return self._made

    async def __aexit__(self, *_: object) -> None:
        for connection in self._made:
            await connection.close()
