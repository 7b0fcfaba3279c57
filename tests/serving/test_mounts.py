"""Mounts and middleware in whole servers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.client import Connection, Response, request
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # a server with several processes starts


@pytest.fixture(scope="module", params=["mounts", "mounts-and-middleware"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return one process with mounts, then several with middleware too."""
    has_middleware = request.param != "mounts"
    with Server(
        "mounted:svc",
        production=has_middleware,
        config="api_server: {workers: 1}\nlogging: {access: true}",
        environment={"MIDDLEWARE": "1" if has_middleware else ""},
    ) as made:
        yield made
        assert made.stop() == 0
        assert made.has("the database is closed")


def check_stamps(server: Server, answer: Response) -> None:
    expected = ("outer", "passed") if server.processes() else (None, None)
    stamps = answer.headers.get("x-stamp"), answer.headers.get("x-guard")
    assert stamps == expected


async def read_all(
    port: int, path: str, body: str = "", method: str = "POST"
) -> tuple[bytes, bytes]:
    """Return head and body as they are sent, chunks and all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}".encode()
    )
    head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head + b"\r\n", rest


async def test_apis_and_pages_take_precedence_over_mounts(server: Server) -> None:
    for path in ("/double", "/app/own"):
        answer = await request(server.port, path, "4")
        assert answer.json() == (8 if path == "/double" else "the service's")
        check_stamps(server, answer)
    page = await request(server.port, "/", method="GET")
    assert b"swagger" in page.body
    missing = await request(server.port, "/nowhere")
    assert (missing.status, missing.error["code"]) == (404, "not_found")
    check_stamps(server, missing)


async def test_mount_serves_below_its_path(server: Server) -> None:
    answer = await request(server.port, "/app/about", "hi")
    assert answer.json() == {
        "path": "/app/about",
        "root": "/app",
        "database": "open",
        "body": "hi",
        "doubled": 42,
    }
    check_stamps(server, answer)
    redirect = await request(server.port, "/app", method="GET")
    assert redirect.status == 307
    assert redirect.headers["location"].endswith("/app/")
    failed = await request(server.port, "/app/fail", method="GET")
    assert (failed.status, failed.body) == (500, b"Internal Server Error")


async def test_wsgi_mount(server: Server) -> None:
    head, body = await read_all(server.port, "/wsgi/a/b", "body")
    assert b"content-type: text/plain\r\n" in head
    assert body == b"5\r\n/wsgi\r\n4\r\n/a/b\r\n4\r\nbody\r\n0\r\n\r\n"


async def test_middleware_can_answer(server: Server) -> None:
    answer = await request(server.port, "/double", "4", headers={"X-Intruder": "1"})
    assert answer.status == (401 if server.processes() else 200)


async def test_stream_and_its_access_log_line(server: Server) -> None:
    mark = server.mark
    head, body = await read_all(server.port, "/app/stream", method="GET")
    assert b"transfer-encoding: chunked" in head
    assert body == b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
    await asyncio.to_thread(server.wait_for, r"GET /app/stream 200 3 bytes", after=mark)


async def test_hang_up_ends_a_stream(server: Server) -> None:
    mark = server.mark
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /app/stream?endless=1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"more")
    writer.close()
    await writer.wait_closed()
    await asyncio.to_thread(server.wait_for, "the stream has ended", after=mark)
    await asyncio.to_thread(server.wait_for, r"GET /app/stream 499 ", after=mark)


async def test_hang_up_cancels_the_work(server: Server) -> None:
    mark = server.mark
    async with await Connection.open(server.port) as connection:
        connection.send("/wait", "1")
        assert (await request(server.port, "/double", "1")).status == 200
    await asyncio.to_thread(server.wait_for, "the work was dropped", after=mark)


FAILING = """
import headway
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    raise LookupError("no database")
    yield

svc = headway.Service("failing")
svc.mount_asgi_app(Starlette(lifespan=lifespan), "/app")
"""


def test_mount_that_cannot_start_ends_the_start(
    tmp_path: Path, production: bool
) -> None:
    (tmp_path / "service.py").write_text(FAILING)
    server = Server("service:svc", production=production, working_dir=tmp_path)
    try:
        server.start()
        assert server.wait() == 1
        assert server.has("'/app' cannot start: LookupError: no database")
    finally:
        server.close()
