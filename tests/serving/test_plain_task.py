"""Without asyncio's private task functions, API functions run in plain tasks."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import scrape_until
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)

# Python imports it at its start, before any other module.
_SITE = """
import asyncio.tasks

del asyncio.tasks._enter_task, asyncio.tasks._leave_task
"""
_SERVICE = """
import asyncio
import headway
from headway.io import JSON

class Doubler(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows):
        return [2 * row for row in rows]

runner = headway.Runner(Doubler, name="doubler")
svc = headway.Service("plain", runners=[runner])

@svc.api(input=JSON(), output=JSON())
async def task(value):
    return type(asyncio.current_task()).__name__

@svc.api(input=JSON(), output=JSON())
async def double(value):
    first, second = await asyncio.gather(
        runner.double.async_run([value]), runner.double.async_run([2 * value])
    )
    (third,) = await runner.double.async_run([value])
    return [*first, *second, third]

@svc.api(input=JSON(), output=JSON())
def double_sync(value):
    return runner.double.run([value])[0]

@svc.api(input=JSON(), output=JSON())
async def fail(value):
    raise ValueError(value)

@svc.api(input=JSON(), output=JSON())
async def limited(value):
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"

@svc.api(input=JSON(), output=JSON())
async def wait(value):
    await asyncio.Event().wait()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "sitecustomize.py").write_text(_SITE)
    (folder / "plain.py").write_text(_SERVICE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        with Server("plain:svc", working_dir=folder) as made:
            yield made


async def test_functions_run_in_an_ordinary_task(server: Server) -> None:
    answer = await request(server.port, "/task", "1")
    assert answer.json() == "Task"


async def test_functions_call_runners(server: Server) -> None:
    answers = await asyncio.gather(
        *(request(server.port, "/double", str(n)) for n in range(20))
    )
    assert [answer.json() for answer in answers] == [
        [2 * n, 4 * n, 2 * n] for n in range(20)
    ]
    assert (await request(server.port, "/double_sync", "4")).json() == 8


async def test_errors_and_time_outs_are_answered(server: Server) -> None:
    failed = await request(server.port, "/fail", "1")
    assert (failed.status, failed.error["code"]) == (500, "api_function_failed")
    assert (await request(server.port, "/limited", "1")).json() == "timed out"
    late = await request(
        server.port, "/wait", "1", headers={"headway-timeout-ms": "100"}
    )
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")


async def test_a_client_that_hangs_up_ends_its_function(server: Server) -> None:
    async with await Connection.open(server.port) as connection:
        connection.send("/wait", "1")
        await scrape_until(
            server.port, lambda now: now.total("headway_requests_in_progress") == 1
        )
    await scrape_until(
        server.port, lambda now: now.total("headway_requests_in_progress") == 0
    )
