"""Results without the rows of their batch: no request gets another one's row."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.serving.client import request
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start


@pytest.fixture(
    scope="module", params=["embedded", "production", "production with replicas"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    config = "api_server: {workers: 1}\n"
    if request.param == "production with replicas":
        config += "runners: {workers_per_resource: 2}"
    with Server(
        "misfits:svc", production=request.param != "embedded", config=config
    ) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "got"),
    [
        ("first", "ndarray with 1 rows along batch_dim 0"),
        ("turned", "ndarray with 2 rows along batch_dim 0"),
        ("upright", "ndarray with 2 rows along batch_dim 1"),
        ("uneven", "dict with no rows along batch_dim 0"),
        ("listed", "list with 8 rows along batch_dim 0"),
    ],
)
async def test_result_with_other_rows_is_an_error(
    server: Server, method: str, got: str
) -> None:
    rows = [[row, row] for row in range(4)]
    answer = await request(server.port, "/call", {"method": method, "rows": rows})
    assert (answer.status, answer.error["code"]) == (500, "bad_output")
    message = answer.error["message"]
    assert f"method {method!r} returned {got} for a batch of 4" in message
    assert "`headway check`" in message


async def test_calls_that_succeed_alone_are_answered_and_logged(
    server: Server,
) -> None:
    """A batch of them has one row, of which only one caller could be right."""
    answers = await asyncio.gather(
        *(
            request(server.port, "/call", {"method": "first", "rows": [[row, row]]})
            for row in range(30)
        )
    )
    assert [answer.json() for answer in answers] == [[[row, row]] for row in range(30)]
    said = "a batch is computed again in parts: method 'first' returned ndarray with 1"
    await asyncio.to_thread(server.wait_for, said)
