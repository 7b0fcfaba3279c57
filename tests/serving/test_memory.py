"""The model is in memory once, with any number of API workers."""

import sys

import pytest

from tests.serving.client import request
from tests.serving.processes import pss_bytes
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

MB = 10**6
MODEL_BYTES = 500 * MB


async def _memory(workers: int) -> int:
    config = f"api_server: {{workers: {workers}}}"
    with Server("big_model:svc", production=True, config=config) as server:
        for row in range(4 * workers):
            assert (await request(server.port, "/predict", [row])).json() == [1]
        pids = [server.pid, *server.processes().values()]
        assert len(pids) == workers + 2
        return sum(map(pss_bytes, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells PSS")
async def test_another_api_worker_holds_no_model() -> None:
    one = await _memory(1)
    four = await _memory(4)
    assert one > MODEL_BYTES
    assert (four - one) / 3 < 60 * MB


@pytest.mark.parametrize("production", [False, True], ids=["embedded", "production"])
async def test_loaded_objects_are_frozen_for_gc(production: bool) -> None:
    with Server("frozen:svc", production=production) as server:
        frozen = (await request(server.port, "/frozen", None)).json()
    # A full collection would walk the modules of every process, in tens of
    # milliseconds.
    assert min(frozen.values()) > 10_000
