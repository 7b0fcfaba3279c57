"""`headway serve --print-config` and `--reload`."""

import asyncio
from pathlib import Path

import pytest

from tests.serving.client import request
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # several processes start in each

_SERVICE = """
import headway

svc = headway.Service("changing")

@svc.api
async def greet(name: str) -> str:
    return "{} " + name
"""


def test_print_config_shows_values_and_sources() -> None:
    server = Server(
        "crawl:svc",
        "--print-config",
        production=True,
        config="runners: {crawler: {batching: {max_batch_size: 7}}}",
        environment={"HEADWAY_API_SERVER__WORKERS": "3"},
    )
    try:
        server.start()
        assert server.wait() == 0
        text = server.output()
    finally:
        server.close()
    lines = [line.strip() for line in text.splitlines()]
    size = [line for line in lines if line.startswith("max_batch_size: 7")]
    assert len(size) == 1
    assert "test.yaml" in size[0]
    workers = [line for line in lines if line.startswith("workers: 3")]
    assert len(workers) == 1
    assert "HEADWAY_API_SERVER__WORKERS" in workers[0]
    assert server.log == ""


async def test_reload_serves_the_changed_file(tmp_path: Path) -> None:
    source = tmp_path / "changing.py"
    source.write_text(_SERVICE.format("hello"))
    with Server("changing:svc", "--reload", working_dir=tmp_path) as server:
        answer = await request(server.port, "/greet", "you")
        assert answer.body == b"hello you"
        mark = server.mark
        source.write_text(_SERVICE.format("good evening"))
        await asyncio.to_thread(server.wait_ready, after=mark)
        answer = await request(server.port, "/greet", "you")
        assert answer.body == b"good evening you"
        mark = server.mark
        source.write_text("this is no Python")
        await asyncio.to_thread(server.wait_for, "invalid syntax", after=mark)
        source.write_text(_SERVICE.format("again"))
        await asyncio.to_thread(server.wait_ready, after=mark)
        answer = await request(server.port, "/greet", "you")
        assert answer.body == b"again you"
        # SIGTERM ends the server below it as well: `stop` waits for all of them.
        assert server.stop() == 0
        assert server.leftovers() == []


def test_reload_is_refused_in_production() -> None:
    server = Server("crawl:svc", "--reload", production=True)
    try:
        server.start()
        assert server.wait() == 2
        assert "--reload is for development" in server.log
    finally:
        server.close()
