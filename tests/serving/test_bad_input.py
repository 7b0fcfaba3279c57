"""Errors of clients and of user code, and the responses to them."""

import asyncio
import json
from typing import Any

import pytest

from tests.serving.client import Connection, Response, request
from tests.serving.metrics import scrape, scrape_until
from tests.serving.processes import paused
from tests.serving.server import Server

GOOD = [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/double", "[[1, 2, 3, 4]", "malformed"),
        ("/double", "", "empty"),
        ("/double", b"\xff\xfe", "malformed"),
        ("/double", [[1, 2, 3]], "shape"),
        ("/double", [1, 2, 3, 4], "shape"),
        ("/double", [[1, 2], [3]], "ragged"),
        ("/double", [["a", "b", "c", "d"]], "number"),
        ("/double", {"rows": GOOD}, "array"),
        ("/double", "[" * 100_000, "nested"),
        ("/decide", {"income": 5}, "age"),
        ("/decide", {"age": "old", "income": 5}, "age"),
        ("/decide", {"age": 30, "income": None}, "income"),
        ("/decide", "{'age': 30}", "malformed"),
        ("/decide", '{"age":' * 10_000, "malformed"),
        ("/mirror", {"x": 1}, "y"),
        ("/mirror", {"x": 1, "y": "up"}, "y"),
        ("/v1/shout", b"\xff\xfe", "UTF-8"),
    ],
)
async def test_bad_body_is_answered_400_with_the_reason(
    rows_server: Server, path: str, body: Any, says: str
) -> None:
    async with await Connection.open(rows_server.port) as connection:
        response = await connection.request(path, body)
        assert response.status == 400, response
        assert response.error["code"] == "bad_input"
        assert says in response.error["message"]
        again = await connection.request("/double", GOOD)  # the connection lives on
        assert again.status == 200


async def test_bad_input_leaves_concurrent_requests_alone(rows_server: Server) -> None:
    async def ask(i: int) -> Response:
        body = [[i, 0, 0]] if i % 4 == 0 else [[i, 0, 0, 0]]
        return await request(rows_server.port, "/double", body)

    for i, response in enumerate(await asyncio.gather(*map(ask, range(100)))):
        if i % 4 == 0:
            assert response.status == 400
        else:
            assert response.json() == [[2 * i, 0, 0, 0]]


async def test_failure_isolation_of_one_bad_row(rows_server: Server) -> None:
    bad = {7, 40, 41}

    async def ask(i: int) -> Response:
        return await request(
            rows_server.port, "/strict", [[-1 if i in bad else i, 0, 0, 0]]
        )

    ids = set()
    for i, response in enumerate(await asyncio.gather(*map(ask, range(80)))):
        if i not in bad:
            assert response.json() == [[2 * i, 0, 0, 0]]
            continue
        assert response.status == 500
        assert response.error["code"] == "model_failed"
        assert b"secret" not in response.body
        ids.add(response.error["id"])
    assert len(ids) == len(bad)
    for error_id in ids:
        line = rows_server.wait_for(error_id)
        after = rows_server.log.splitlines(keepends=True).index(line)
        rows_server.wait_for(
            "ValueError: a row is negative: secret-of-the-model", after=after
        )


async def test_failure_isolation_of_one_bad_row_in_a_hundred(
    rows_server: Server,
) -> None:
    async def extra_calls() -> float:
        metrics = await scrape(rows_server.port)
        return metrics.total("headway_isolation_calls_total")

    async def ask(i: int) -> Response:
        row = [i, 0, 0, -3] if i == 70 else [i, 0, 0, 0]
        return await request(rows_server.port, "/strict", [row])

    seen = []
    for _ in range(9):
        for i, response in enumerate(await asyncio.gather(*map(ask, range(100)))):
            if i == 70:
                assert response.error["code"] == "model_failed"
            else:
                assert response.json() == [[2 * i, 0, 0, 0]]
        seen.append(await extra_calls())
    # A recent failure is computed alone at once; older ones are forgotten.
    assert seen[-1] - seen[-3] <= 2


async def test_failure_isolation_in_replicas() -> None:
    config = "runners: {resources: {cpu: 1}, workers_per_resource: 2}"
    with Server("rows:svc", production=True, config=config) as server:

        async def ask(i: int) -> Response:
            return await request(server.port, "/strict", [[i, 0, 0, -(i == 40)]])

        with paused(server.processes()["runner-rows"]):
            asking = asyncio.gather(*map(ask, range(60)))
            await scrape_until(
                server.port,
                lambda now: now.total("headway_requests_in_progress") == 60,
            )
        responses = await asking
        bad = responses.pop(40)
        assert bad.error["code"] == "model_failed"
        assert [response.json()[0][0] for response in responses] == [
            2 * i for i in range(60) if i != 40
        ]
        metrics = await scrape(server.port)
        assert metrics.total("headway_isolation_calls_total", runner="rows") > 0


async def test_split_request_with_a_bad_row_fails_once(
    rows_server: Server,
) -> None:
    rows = [[i, 0, 0, 0] for i in range(250)]
    rows[170][1] = -1
    async with await Connection.open(rows_server.port) as connection:
        response = await connection.request("/strict", rows)
        assert (response.status, response.error["code"]) == (500, "model_failed")
        assert (await connection.request("/strict", GOOD)).json() == [[2, 4, 6, 8]]


@pytest.mark.parametrize("path", ["/boom", "/boom_sync"])
async def test_api_function_that_raises_is_answered_500(
    rows_server: Server, path: str
) -> None:
    mark = rows_server.mark
    response = await request(rows_server.port, path, {})
    assert response.status == 500
    assert response.error["code"] == "api_function_failed"
    error_id = response.error["id"]
    assert error_id in response.error["message"]
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body
    rows_server.wait_for(error_id, after=mark)
    rows_server.wait_for("RuntimeError: secret-of-the-function", after=mark)


async def test_result_that_is_no_json_is_answered_500(rows_server: Server) -> None:
    mark = rows_server.mark
    response = await request(rows_server.port, "/unencodable", {})
    assert response.status == 500
    assert response.error["code"] == "bad_output"
    rows_server.wait_for(str(response.error["id"]), after=mark)


async def test_sync_run_on_the_event_loop_is_refused(rows_server: Server) -> None:
    mark = rows_server.mark
    response = await request(rows_server.port, "/run_on_the_loop", {})
    assert (response.status, response.error["code"]) == (500, "usage")
    rows_server.wait_for("async_run", after=mark)


async def test_body_over_the_limit_is_answered_413(rows_server: Server) -> None:
    response = await request(rows_server.port, "/double", b" " * 100_001)
    assert (response.status, response.error["code"]) == (413, "body_too_large")
    assert "max_body_bytes" in response.error["message"]


async def test_unknown_route_is_answered_404(rows_server: Server) -> None:
    response = await request(rows_server.port, "/duble", GOOD)
    assert (response.status, response.error["code"]) == (404, "not_found")
    assert "/double" in response.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/double", "POST, OPTIONS"),
        ("DELETE", "/v1/shout", "POST, OPTIONS"),
        ("POST", "/metrics", "GET, HEAD, OPTIONS"),
        ("PUT", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_method_is_answered_405(
    rows_server: Server, method: str, path: str, allow: str
) -> None:
    response = await request(rows_server.port, path, method=method)
    assert (response.status, response.error["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == allow


async def test_options_lists_the_methods(rows_server: Server) -> None:
    response = await request(rows_server.port, "/double", method="OPTIONS")
    assert response.status == 204
    assert response.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "body", ["[]", "[[]]", "[[], []]", "5", "[[[1, 2]], [[3, 4]]]", "[true, false]"]
)
async def test_arrays_of_any_shape_are_answered(rows_server: Server, body: str) -> None:
    async with await Connection.open(rows_server.port) as connection:
        others = [request(rows_server.port, "/double", GOOD) for _ in range(10)]
        connection.send("/anything", body)
        answers = await asyncio.gather(*others)
        response = await connection.receive()
    assert all(answer.status == 200 for answer in answers)
    assert response.status in (200, 400, 500), response
    assert json.loads(response.body) is not None
