"""Requests of an ASGI server: bodies in pieces, clients and servers that go."""

import asyncio
from typing import Any

import pytest

from headway.config.schema import ApiServerConfig
from headway.http.asgi.application import AsgiApplication
from tests.http.edge import FakeClock, Recorder, until

LIMITS = ApiServerConfig(max_body_bytes=10, request_timeout_s=10)


class Exchange:
    """One request as an ASGI server sees it."""

    def __init__(self, path: str = "/", limits: ApiServerConfig = LIMITS) -> None:
        self.app = Recorder()
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=9)
        self.sent: list[Any] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"x-a", b"1"), (b"x-a", b"2")],
        }
        self._asgi = AsgiApplication(
            application=self.app, config=limits, clock=FakeClock()
        )

    def body(self, body: bytes, *, more: bool = False) -> None:
        message = {"type": "http.request", "body": body, "more_body": more}
        self.incoming.put_nowait(message)

    def hang_up(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    def start(self) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.run())

    async def run(self) -> None:
        async def send(message: Any) -> None:
            self.sent.append(message)

        async with asyncio.timeout(10):
            await self._asgi(self.scope, self.incoming.get, send)

    @property
    def answer(self) -> tuple[int, bytes]:
        start, body = self.sent
        return start["status"], body["body"]


async def test_a_body_in_chunks_is_joined() -> None:
    exchange = Exchange()
    exchange.body(b"ab", more=True)
    exchange.incoming.put_nowait({"type": "http.request", "more_body": True})
    exchange.body(b"cd")
    await exchange.run()
    assert exchange.answer == (200, b"abcd")
    assert exchange.app.requests[0].header(b"x-a") == b"1, 2"


@pytest.mark.parametrize("path", ["/ml", "/ml/", "/ml/a"])
async def test_the_path_is_relative_to_the_root(path: str) -> None:
    exchange = Exchange(path)
    exchange.scope["root_path"] = "/ml"
    exchange.body(b"")
    await exchange.run()
    assert exchange.app.requests[0].path == (path.removeprefix("/ml") or "/")


async def test_a_path_that_only_begins_like_the_root_stays_whole() -> None:
    exchange = Exchange("/mlx")
    exchange.scope["root_path"] = "/ml"
    exchange.body(b"")
    await exchange.run()
    assert exchange.app.requests[0].path == "/mlx"


@pytest.mark.parametrize("has_length", [True, False])
async def test_a_body_over_the_limit_is_not_read_further(has_length: bool) -> None:
    exchange = Exchange()
    if has_length:
        exchange.scope["headers"] = [(b"content-length", b"11")]
    exchange.body(b"x" * 6, more=True)
    exchange.body(b"x" * 5, more=True)
    await exchange.run()
    assert exchange.answer[0] == 413
    assert not exchange.app.requests
    assert exchange.incoming.qsize() == (2 if has_length else 0)


async def test_a_slow_body_is_a_408() -> None:
    exchange = Exchange(limits=ApiServerConfig(request_timeout_s=0.01))
    exchange.body(b"x", more=True)
    await exchange.run()
    assert exchange.answer[0] == 408
    assert not exchange.app.requests


async def test_a_client_that_leaves_during_its_body_makes_no_request() -> None:
    exchange = Exchange()
    exchange.body(b"x", more=True)
    exchange.hang_up()
    await exchange.run()
    assert not exchange.sent
    assert not exchange.app.requests


async def test_a_client_that_hangs_up_cancels_its_request() -> None:
    exchange = Exchange("/hold")
    exchange.body(b"")
    task = exchange.start()
    await until(lambda: bool(exchange.app.held))
    (request,) = exchange.app.held
    hung_up: list[bool] = []
    request.on_disconnect = lambda: hung_up.append(True)
    exchange.hang_up()
    await task
    assert hung_up == [True]
    request.respond(200, b"", b"too late")
    assert not exchange.sent


async def test_a_cancelled_server_task_cancels_the_request() -> None:
    exchange = Exchange("/hold")
    exchange.body(b"")
    task = exchange.start()
    await until(lambda: bool(exchange.app.held))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.app.held[0].disconnected


async def test_a_late_answer_is_sent() -> None:
    exchange = Exchange("/hold")
    exchange.body(b"")
    exchange.body(b"what no server sends")
    task = exchange.start()
    await until(lambda: bool(exchange.app.held))
    exchange.app.held[0].respond(200, b"", b"late", ((b"x-b", b"1"),))
    await task
    assert exchange.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-b", b"1"), (b"content-length", b"4")],
        },
        {"type": "http.response.body", "body": b"late"},
    ]


async def test_an_application_that_raises_is_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = Exchange("/raise")
    exchange.body(b"")
    await exchange.run()
    assert exchange.answer[0] == 500
    assert "a bug of the application" in caplog.text


async def test_a_web_socket_is_closed() -> None:
    exchange = Exchange()
    exchange.scope = {"type": "websocket", "path": "/"}
    await exchange.run()
    assert [message["type"] for message in exchange.sent] == ["websocket.close"]
