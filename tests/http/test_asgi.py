"""ASGI applications on the native server: scopes, answers whole and in pieces."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send
from tests.http.edge import on_both_loops, turns, until
from tests.http.scripted_app import ScriptedRequest, calling, chunk, serving_app
from tests.http.test_protocol import contexts, get, post


@on_both_loops
async def test_the_scope_describes_the_request() -> None:
    server_ssl, client_ssl = contexts()
    async with serving_app(server_ssl=server_ssl, client_ssl=client_ssl) as (edge, app):
        client = await edge.connect()
        client.send(post("/a%20b/%2F?c=%20", b"body", "X-A: 1\r\nX-A: 2"))
        call = await app.requests.get()
        headers = call.scope.pop("headers")
        assert [pair for pair in headers if pair[0] == b"x-a"] == [
            (b"x-a", b"1"),
            (b"x-a", b"2"),
        ]
        assert call.scope.pop("client")[0] == "127.0.0.1"
        assert call.scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": "/a b//",
            "raw_path": b"/a%20b/%2F",
            "query_string": b"c=%20",
            "root_path": "",
            "server": ("127.0.0.1", edge.port),
            "state": {"kept": 1},
        }
        assert await call.receive() == {
            "type": "http.request",
            "body": b"body",
            "more_body": False,
        }
        await call.start(201, [(b"Content-Type", b"a/b"), (b"X-B", b"3")])
        await call.last(b"done")
        call.end()
        answer = await client.answer()
        assert (answer.status, answer.body) == (201, b"done")
        assert list(answer.headers) == ["date", "content-type", "x-b", "content-length"]
        assert await call.receive() == {"type": "http.disconnect"}


@on_both_loops
async def test_native_paths_bypass_the_application() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(post("/native", b"echo"))
        assert (await client.answer()).body == b"echo"
        assert app.requests.empty()
        client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400


@on_both_loops
async def test_pieces_are_sent_at_once_and_the_connection_stays_open() -> None:
    async with calling(get("/") + post("/native", b"after")) as (client, call):
        await call.start(200, [(b"Connection", b"close"), (b"Transfer-Encoding", b"x")])
        for piece in (b"one", b"", b"three" * 10_000):
            await call.piece(piece)
        answer = await client.answer()
        assert answer.headers["transfer-encoding"] == "chunked"
        assert set(answer.headers) == {"date", "transfer-encoding"}
        assert await chunk(client) == b"one"
        assert await chunk(client) == b"three" * 10_000
        await call.last(b"end")
        assert [await chunk(client), await chunk(client)] == [b"end", b""]
        assert (await client.answer()).body == b"after"


@on_both_loops
async def test_pieces_wait_for_the_answer_before_them() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(post("/native/x", b"") + get("/hold") + get("/a"))
        hold = await app.requests.get()
        call = await app.requests.get()
        await call.start()
        writing = asyncio.ensure_future(call.piece(b"early"))
        await until(lambda: edge.connections == 1)
        await turns(20)
        assert not writing.done()
        await hold.start()
        await hold.last(b"first")
        await writing
        assert (await client.answer()).body == b""
        assert (await client.answer()).body == b"first"
        assert "content-length" not in (await client.answer()).headers
        assert await chunk(client) == b"early"
        await call.last()
        assert await chunk(client) == b""
        hold.end()
        call.end()


@on_both_loops
async def test_an_answer_may_end_before_its_turn() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(get("/hold") + b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
        hold, call = await app.requests.get(), await app.requests.get()
        await call.start(200, [(b"content-length", b"4")])
        await call.last()
        await hold.start()
        await hold.last(b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.answer(head=True)).headers["content-length"] == "4"
        for each in (hold, call):
            each.end()


@on_both_loops
async def test_a_slow_client_holds_the_application_back() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get("/"))
        call = await app.requests.get()
        await call.start()
        sent = 0

        async def pour() -> None:
            nonlocal sent
            for _ in range(300):
                await call.piece(b"x" * 100_000)
                sent += 1
            await call.last()

        pouring = asyncio.ensure_future(pour())
        seen = -1
        while seen != sent:
            seen = sent
            await turns(200)
        assert 0 < sent < 300
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.answer()
        total = 0
        while piece := await chunk(client):
            total += len(piece)
        assert total == 30_000_000
        await pouring
        call.end()


@on_both_loops
async def test_a_client_that_never_reads_a_stream_is_dropped() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get("/"))
        call = await app.requests.get()
        await call.start()
        writing = asyncio.ensure_future(call.piece(b"x" * 50_000_000))
        await turns(50)
        assert not writing.done()
        for _ in range(3):
            edge.pass_time(30)
        await until(lambda: edge.connections == 0)
        await writing  # the next one fails
        with pytest.raises(OSError, match="hung up"):
            await call.piece(b"more")
        call.end(OSError("raised by the application"))


@on_both_loops
async def test_the_application_receives_a_disconnect() -> None:
    async with calling() as (client, call):
        await call.receive()
        client.hang_up()
        assert await call.receive() == {"type": "http.disconnect"}
        with pytest.raises(OSError, match="hung up"):
            await call.start()


@on_both_loops
async def test_an_early_disconnect_comes_before_the_body() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(post("/", b"body"))
        call = await app.requests.get()
        client.hang_up()
        await until(lambda: edge.connections == 0)
        assert await call.receive() == {"type": "http.disconnect"}
        call.end()


@on_both_loops
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"6")]])
async def test_head_has_the_content_length_of_get(
    headers: list[tuple[bytes, bytes]],
) -> None:
    async with calling(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get("/native")) as (
        client,
        call,
    ):
        await call.start(200, headers)
        await call.last(b"" if headers else b"123456")
        assert (await client.answer(head=True)).headers["content-length"] == "6"
        assert (await client.answer()).status == 200


@on_both_loops
async def test_head_and_bodiless_streams_have_no_body() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get("/") + get("/native"))
        for status in (200, 204):
            call = await app.requests.get()
            await call.start(status)
            await call.piece(b"left out")
            await call.last(b"left out")
            call.end()
            answer = await client.answer(head=True)
            assert answer.status == status
            assert "transfer-encoding" not in answer.headers
        assert (await client.answer()).status == 200


@on_both_loops
async def test_a_stream_to_http_10_ends_with_the_connection() -> None:
    async with serving_app() as (edge, app):
        client = await edge.connect()
        client.send(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            b"GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        )
        call, lost = await app.requests.get(), await app.requests.get()
        await call.start()
        await call.piece(b"a")
        await call.last(b"b")
        answer = await client.answer()
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b"ab"
        await lost.receive()
        for each in (call, lost):
            each.end()


@on_both_loops
async def test_http_10_with_a_length_is_kept_alive() -> None:
    async with calling(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") as (
        client,
        call,
    ):
        await call.start(200, [(b"content-length", b"2")])
        await call.piece(b"a")
        await call.last(b"b")
        answer = await client.answer()
        assert (answer.headers["connection"], answer.body) == ("keep-alive", b"ab")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without an answer."""


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("a bug of the application")


async def raising_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    raise LookupError("a bug of the application")


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def starting_twice(scope: Scope, receive: Receive, send: Send) -> None:
    for _ in range(2):
        await send({"type": "http.response.start", "status": 200})


async def splitting(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"x", b"1\r\nSet-Cookie: a=b")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x"})


@on_both_loops
@pytest.mark.parametrize(
    "app", [silent, raising, raising_late, body_first, starting_twice, splitting]
)
async def test_a_failing_application_is_answered_with_500(
    app: AsgiApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving_app(app) as (edge, _):
        client = await edge.connect()
        client.send(get("/") + get("/native"))
        answer = await client.answer()
        assert (answer.status, answer.code) == (500, "internal")
        assert (await client.answer()).status == 200
    assert "the ASGI application failed at /" in caplog.text


Step = Callable[[ScriptedRequest], Awaitable[None]]


async def too_long(call: ScriptedRequest) -> None:
    await call.piece(b"123")


async def too_short(call: ScriptedRequest) -> None:
    await call.last(b"2")


async def too_long_at_last(call: ScriptedRequest) -> None:
    await call.last(b"123")


@on_both_loops
@pytest.mark.parametrize("step", [too_long, too_short, too_long_at_last])
async def test_a_wrong_length_breaks_the_connection(step: Step) -> None:
    async with calling() as (client, call):
        await call.start(200, [(b"content-length", b"3")])
        await call.piece(b"1")
        with pytest.raises(ValueError, match="Content-Length"):
            await step(call)
        call.end(ValueError("raised by the application"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()


@on_both_loops
async def test_drain_waits_for_a_stream() -> None:
    async with serving_app() as (edge, app):
        early, late = await edge.connect(), await edge.connect()
        early.send(get("/early"))
        first = await app.requests.get()
        late.send(get("/late"))
        second = await app.requests.get()
        await first.start()
        await first.piece(b"1")
        drained = asyncio.create_task(edge.server.drain(30))
        await turns(50)
        await second.start()
        await second.piece(b"2")
        assert "connection" not in (await early.answer()).headers
        assert (await late.answer()).headers["connection"] == "close"
        assert not drained.done()
        await second.last()
        assert await late.rest() == b"1\r\n2\r\n0\r\n\r\n"
        await first.last()
        assert [await chunk(early), await chunk(early)] == [b"1", b""]
        edge.pass_time(1)  # its answer did not say close, and it is idle now
        assert await early.rest() == b""
        await drained
        for call in (first, second):
            call.end()
