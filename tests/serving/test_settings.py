"""Settings whose effect needs a whole server: logs, buckets, GPUs, TLS."""

import asyncio
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.client import Connection, request
from tests.serving.metrics import scrape, scrape_until
from tests.serving.server import Server

_CERTIFICATES = Path(__file__).parent.parent / "http" / "certificates"
_SERVICE = """
import asyncio
import headway

class Echo(headway.Runnable):
    @headway.Runnable.method
    def echo(self, value):
        return value

runner = headway.Runner(Echo, name="echo")
svc = headway.Service("settings", runners=[runner])

@svc.api
async def echo(value: int) -> int:
    return await runner.echo.async_run(value)

@svc.api
async def wait(value: int) -> None:
    await asyncio.Event().wait()
"""
_CONFIG = """
logging: {access: true, format: json}
api_server:
  workers: 1
  metrics: {duration_buckets_s: [0.5, 2.5]}
runners:
  echo: {resources: {nvidia.com/gpu: 2}}
"""


@pytest.fixture(scope="module", params=["embedded", "production"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return a server with these settings, in both modes."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "service.py").write_text(_SERVICE)
    with Server(
        "service:svc",
        production=request.param == "production",
        config=_CONFIG,
        working_dir=folder,
    ) as made:
        yield made


def _accesses(server: Server, after: int) -> list[dict[str, Any]]:
    lines = server.log.splitlines()[after:]
    records = [json.loads(line) for line in lines if "{" in line]
    return [record for record in records if record["logger"] == "headway.access"]


async def test_access_log_has_a_line_per_request(server: Server) -> None:
    port, begin = server.port, server.mark
    assert (await request(port, "/echo", b"12345")).status == 200
    assert (await request(port, "/echo", b"x")).status == 400
    assert (await request(port, "/nowhere")).status == 404
    assert (await request(port, "/livez", method="GET")).status == 200
    assert (await request(port, "/echo\x7f", b"1")).status == 400
    mark = server.mark
    async with await Connection.open(port) as connection:
        connection.send("/wait", b"1")
        await scrape_until(
            port, lambda now: now.total("headway_requests_in_progress") == 1
        )
    await asyncio.to_thread(server.wait_for, '"status":499', after=mark)
    found = [
        record for record in _accesses(server, begin) if record["path"] != "/metrics"
    ]
    assert [
        (record["method"], record["path"], record["status"]) for record in found
    ] == [
        ("POST", "/echo", 200),
        ("POST", "/echo", 400),
        ("POST", "/nowhere", 404),
        ("GET", "/livez", 200),
        ("-", "-", 400),
        ("POST", "/wait", 499),
    ]
    first, second, *_, last = found
    assert first["bytes"] == len(b"12345")
    assert 0 < first["milliseconds"] < 10_000
    assert re.fullmatch(r"POST /echo 200 5 bytes \d+\.\d{3} ms", first["message"])
    assert second["bytes"] > 20
    assert last["bytes"] == 0


async def test_duration_buckets_of_requests_and_runners(server: Server) -> None:
    assert (await request(server.port, "/echo", b"1")).status == 200
    metrics = await scrape(server.port)
    for name in (
        "headway_request_duration_seconds",
        "headway_runner_queue_wait_seconds",
        "headway_runner_inference_seconds",
    ):
        bounds = {
            labels["le"]
            for sample, labels, _ in metrics.samples
            if sample == f"{name}_bucket"
        }
        assert bounds == {"0.5", "2.5", "+Inf"}, name


def test_unusable_gpus_are_logged(server: Server) -> None:
    lines = [line for line in server.log.splitlines() if "nvidia.com/gpu" in line]
    assert len(lines) == 1, server.log
    record = json.loads(lines[0])
    assert record["level"] == "WARNING"
    assert "runner 'echo'" in record["message"]
    assert "SUPPORTED_RESOURCES" in record["message"]


async def test_access_log_is_off_by_default(rows_server: Server) -> None:
    assert (await request(rows_server.port, "/livez", method="GET")).status == 200
    assert "/livez" not in rows_server.log


async def test_tls_url_is_announced(production: bool) -> None:
    certificate = _CERTIFICATES / "localhost.pem"
    key = _CERTIFICATES / "localhost.key"
    config = (
        f"api_server: {{workers: 1, ssl_certfile: '{certificate}', "
        f"ssl_keyfile: '{key}'}}\n"
    )
    with Server("rows:svc", production=production, config=config) as server:
        line = server.wait_for(" is ready at ")
        assert f" is ready at https://127.0.0.1:{server.port} (" in line
        if production:
            assert line.endswith("(1 API worker, 1 runner process)\n")
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context
        )
        writer.write(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        await writer.wait_closed()
