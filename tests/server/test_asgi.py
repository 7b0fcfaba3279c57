"""`headway.asgi_app` under ASGI servers, and mounted in another application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

import headway
from headway.errors import ConfigError, StartError
from headway.io import JSON
from headway.server.asgi_app import ServiceApp
from tests.http.edge import bound_socket, until


class Doubler(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        return rows * 2


class Made:
    """A service, and the events that it saw."""

    def __init__(self) -> None:
        self.runner = headway.Runner(Doubler, name="doubler")
        self.svc = headway.Service("hosted", runners=[self.runner])
        self.events: list[str] = []
        self.svc.on_startup(lambda: self.events.append("startup"))
        self.svc.on_shutdown(lambda: self.events.append("shutdown"))

        @self.svc.api(input=JSON(), output=JSON())
        async def double(value: float) -> Any:
            return (await self.runner.double.async_run(np.array([value])))[0]

        @self.svc.api(input=JSON(), output=JSON())
        async def wait(value: Any) -> None:
            self.events.append("waiting")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.events.append("dropped")
                raise


def test_asgi_app_starts_twice_under_the_test_client() -> None:
    made = Made()
    app = headway.asgi_app(made.svc)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/double", json=21).json() == 42
            ready = client.get("/readyz").json()
            assert ready == {
                "ready": True,
                "draining": False,
                "runners": {"doubler": True},
            }
            assert 'endpoint="/double"' in client.get("/metrics").text
    assert made.events == ["startup", "shutdown"] * 2


def test_service_has_asgi_app() -> None:
    made = Made()
    assert isinstance(made.svc.asgi_app, ServiceApp)
    assert made.svc.asgi_app is made.svc.asgi_app


def test_asgi_app_has_middleware_and_mounts() -> None:
    made = Made()

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    page = PlainTextResponse("x" * 1000)
    routes = [Route("/page", page), WebSocketRoute("/echo", echo)]
    made.svc.mount_asgi_app(Starlette(routes=routes))
    made.svc.add_asgi_middleware(GZipMiddleware, minimum_size=500)
    with TestClient(made.svc.asgi_app) as client:
        answer = client.get("/page")
        assert (answer.text, answer.headers["content-encoding"]) == ("x" * 1000, "gzip")
        assert client.get("/docs.json").headers["content-encoding"] == "gzip"
        assert client.post("/double", json=1).json() == 2
        assert (
            client.get("/nowhere").text == "Not Found"
        )  # the mount's, which is at "/"
        with client.websocket_connect("/echo") as session:
            session.send_text("hi")
            assert session.receive_text() == "hi"


def test_web_socket_is_closed() -> None:
    app = headway.asgi_app(Made().svc)
    unstarted = TestClient(app)
    with pytest.raises(WebSocketDisconnect), unstarted.websocket_connect("/double"):
        pass
    with (
        TestClient(app) as started,
        pytest.raises(WebSocketDisconnect),
        started.websocket_connect("/double"),
    ):
        pass


def test_asgi_app_mounted_in_another_application() -> None:
    made = Made()
    app = headway.asgi_app(made.svc)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app:
            yield

    around = Starlette(routes=[Mount("/ml", app)], lifespan=lifespan)
    with TestClient(around) as client:
        assert client.post("/ml/double", json=2).json() == 4
        assert client.get("/ml/livez").json() == {"live": True}
        assert client.post("/ml/no").json()["error"]["code"] == "not_found"
    assert made.events == ["startup", "shutdown"]
    answer = TestClient(around).post("/ml/double", json=2)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "async with app" in answer.json()["error"]["message"]


def test_failed_start_fails_the_lifespan() -> None:
    made = Made()

    @made.svc.on_startup
    def fail() -> None:
        raise LookupError("no database")

    app = headway.asgi_app(made.svc)

    async def live() -> list[Any]:
        incoming: asyncio.Queue[Any] = asyncio.Queue()
        incoming.put_nowait({"type": "lifespan.startup"})
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "lifespan"}, incoming.get, send)
        return sent

    (sent,) = asyncio.run(live())
    assert sent["type"] == "lifespan.startup.failed"
    assert "no database" in sent["message"]

    class Broken(headway.Runnable):
        def __init__(self) -> None:
            raise LookupError("no model")

        @headway.Runnable.method
        def predict(self, value: Any) -> Any: ...

    async def enter() -> None:
        runner = headway.Runner(Broken, name="broken")
        async with headway.asgi_app(headway.Service("s", runners=[runner])):
            pass

    with pytest.raises(StartError, match="no model"):
        asyncio.run(enter())


def test_asgi_app_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made()
    file = tmp_path / "headway.yaml"
    file.write_text("api_server: {max_body_bytes: 5}")
    monkeypatch.chdir(tmp_path)
    for app in (headway.asgi_app(made.svc), headway.asgi_app(made.svc, config=file)):
        with TestClient(app) as client:
            assert client.post("/double", content=b"123456").status_code == 413
    file.write_text("api_server: {max_bodyy: 5}")
    with pytest.raises(ConfigError, match="max_bodyy"):
        headway.asgi_app(made.svc)


@contextlib.asynccontextmanager
async def under_uvicorn(app: ServiceApp) -> AsyncIterator[int]:
    with bound_socket() as listener:
        config = uvicorn.Config(app, lifespan="on", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        await until(lambda: server.started or serving.done())
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def test_asgi_app_under_uvicorn() -> None:
    made = Made()
    app = headway.asgi_app(made.svc)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"2", b"1"):
            yield piece

    async with (
        under_uvicorn(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answers = await asyncio.gather(
            *(client.post("/double", json=number) for number in range(50))
        )
        assert [answer.json() for answer in answers] == [2 * n for n in range(50)]
        assert (await client.post("/double", content=pieces())).json() == 42
        head = await client.head("/livez")
        assert (head.content, head.headers["content-length"]) == (b"", "13")
        options = await client.options("/double")
        assert (options.status_code, options.headers["allow"]) == (204, "POST, OPTIONS")
        late = await client.post("/wait", json=1, headers={"Headway-Timeout-Ms": "150"})
        assert (late.status_code, made.events.pop()) == (504, "dropped")
        # The drain does not wait for clients that hung up.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n1")
        await until(lambda: made.events.count("waiting") == 2)
        writer.transport.abort()
        await until(lambda: made.events[-1] == "dropped")
    assert made.events[-1] == "shutdown"
