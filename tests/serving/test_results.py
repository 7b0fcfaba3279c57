"""Any result of a model is answered at once, and the next request is served."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.serving.client import Connection, request
from tests.serving.server import Server

SENT = {
    "strings",
    "empty rows",
    "objects",
    "dates",
    "pair",
    "mapping",
    "as wide as the batch",
}
NOT_SENT = {
    "none",
    "scalar",
    "zero-dimensional",
    "too few",
    "too many",
    "generator",
    "refuses",
    "refuses to return",
    "pointer",
    "nested",
    "module",
}
ALONE_SENT = SENT | {"none", "scalar", "zero-dimensional", "too few", "too many"}


@pytest.fixture(
    scope="module", params=["embedded", "production", "production with replicas"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    config = "api_server: {workers: 1}\n"
    if request.param == "production with replicas":
        config += "runners: {workers_per_resource: 2}"
    with Server(
        "results:svc", production=request.param != "embedded", config=config
    ) as server:
        yield server


async def _ask(server: Server, path: str, kind: str, rows: int) -> int:
    """Return the status for a result of some kind; the server has to live on."""
    async with (
        asyncio.timeout(10),
        await Connection.open(server.port) as connection,
    ):
        response = await connection.request(path, [kind] * rows)
        if response.status != 200:
            assert response.error["code"] in ("bad_output", "model_failed"), response
            assert response.error["id"] is not None
        after = await connection.request("/batched", ["strings"])
        assert (after.status, after.json()) == (200, ["abc"])
    return response.status


@pytest.mark.parametrize("kind", sorted(SENT | NOT_SENT | {"records"}))
async def test_any_batched_result_is_answered(server: Server, kind: str) -> None:
    status = await _ask(server, "/batched", kind, 3)
    if kind != "records":
        assert status == (200 if kind in SENT else 500)


@pytest.mark.parametrize("kind", sorted(SENT | NOT_SENT | {"records"}))
async def test_any_unbatched_result_is_answered(server: Server, kind: str) -> None:
    status = await _ask(server, "/alone", kind, 3)
    if kind != "records":
        assert status == (200 if kind in ALONE_SENT else 500)


@pytest.mark.parametrize("kind", sorted(SENT | NOT_SENT | {"records"}))
async def test_any_result_of_a_split_request_is_answered(
    server: Server, kind: str
) -> None:
    """A request larger than a batch, whose parts may not fit together."""
    status = await _ask(server, "/batched", kind, 21)
    if kind == "as wide as the batch":
        assert status == 500
    elif kind != "records":
        assert status == (200 if kind in SENT else 500)


async def test_row_that_cannot_be_encoded_fails_alone(server: Server) -> None:
    bad = {5, 17}
    answers = await asyncio.gather(
        *(
            request(server.port, "/each", ["refuses" if i in bad else str(i)])
            for i in range(30)
        )
    )
    for i, answer in enumerate(answers):
        if i in bad:
            assert answer.status == 500
        else:
            assert answer.json() == [str(i)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/pointer", 1),
        ("/unreadable", 1),
        ("/unreadable_rows", 3),
        ("/unreadable_rows", 30),
    ],
)
async def test_argument_that_cannot_be_encoded(
    server: Server, path: str, body: int
) -> None:
    async with asyncio.timeout(10), await Connection.open(server.port) as connection:
        response = await connection.request(path, body)
        assert response.status == 500
        assert response.error["id"] is not None
        after = await connection.request("/batched", ["strings"])
        assert after.status == 200
