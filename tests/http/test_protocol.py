import json
import ssl
from pathlib import Path

import pytest

from headway.config.schema import ApiServerConfig
from headway.http.server_state import MAX_PIPELINED
from tests.http.edge import Client, connected, on_both_loops, serving, until

CERTIFICATES = Path(__file__).parent / "certificates"


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}"]).encode()
    return head + b"\r\n\r\n" + body


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@on_both_loops
async def test_one_connection_carries_many_requests() -> None:
    async with connected() as (edge, client):
        for number in range(20):
            body = b"%d" % number * (number % 3)
            client.send(post("/a%20b?c=d", body))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, body)
            assert "connection" not in answer.headers
            assert answer.headers["date"].endswith("GMT")
        request = edge.app.requests[-1]
        assert (request.method, request.path, request.query) == ("POST", "/a b", "c=d")
        assert request.header(b"content-length") == b"2"
        assert request.headers[0] == (b"host", b"x")
        assert request.received_at == edge.clock.time
        assert edge.connections == 1


@on_both_loops
async def test_equal_heads_are_parsed_once() -> None:
    async with connected() as (edge, client):
        for body in (b"one", b"two", b"six"):
            client.send(post("/", body))
            assert (await client.answer()).body == body
        first, second, third = edge.app.requests
        assert first.head is second.head is third.head


@on_both_loops
async def test_pipelined_answers_keep_the_order_of_requests() -> None:
    async with connected() as (edge, client):
        client.send(b"".join(post(f"/hold/{n}", b"%d" % n) for n in range(5)))
        client.send(post("/echo", b"5"))
        await until(lambda: len(edge.app.requests) == 6)
        for request in reversed(edge.app.held):
            request.respond(200, b"text/plain", request.body)
        bodies = [(await client.answer()).body for _ in range(6)]
        assert bodies == [b"%d" % n for n in range(6)]


@on_both_loops
async def test_many_pipelined_requests_in_one_packet() -> None:
    async with connected() as (_edge, client):
        client.send(get("/") * 3000)
        for _ in range(3000):
            assert (await client.answer()).status == 200


@on_both_loops
async def test_chunked_body_with_extension_and_trailer() -> None:
    async with connected() as (_edge, client):
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n")
        assert (await client.answer()).body == b"abc0123456789"
        client.send(head + b"0\r\n\r\n" + post("/", b"next"))
        assert (await client.answer()).body == b""
        assert (await client.answer()).body == b"next"


@on_both_loops
async def test_expect_100_continue() -> None:
    async with connected() as (_edge, client):
        data = post("/", b"body", "Expect: 100-continue")
        client.send(data[:-4])
        assert (await client.answer()).status == 100
        client.send(b"body")
        assert (await client.answer()).body == b"body"
        client.send(data)  # a client that does not wait gets no 100
        assert (await client.answer()).status == 200


@on_both_loops
async def test_100_continue_does_not_overtake_an_answer() -> None:
    async with connected() as (edge, client):
        client.send(get("/hold") + post("/", b"body", "Expect: 100-continue")[:-4])
        await until(lambda: len(edge.app.held) == 1)
        edge.app.held[0].respond(200, b"text/plain", b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.answer()).status == 100
        client.send(b"body")
        assert (await client.answer()).body == b"body"


@on_both_loops
async def test_head_is_answered_without_the_body() -> None:
    async with connected() as (edge, client):
        client.send(b"HEAD /hold HTTP/1.1\r\nHost: x\r\n\r\n" + get("/"))
        await until(lambda: len(edge.app.held) == 1)
        edge.app.held[0].respond(200, b"text/plain", b"12345")
        assert (await client.answer(head=True)).headers["content-length"] == "5"
        assert (await client.answer()).status == 200


@on_both_loops
@pytest.mark.parametrize("status", [204, 304])
async def test_bodiless_status_has_no_length(status: int) -> None:
    async with connected() as (edge, client):
        client.send(get("/hold") + get("/"))
        await until(lambda: len(edge.app.held) == 1)
        edge.app.held[0].respond(status, b"", b"ignored")
        answer = await client.answer()
        assert answer.status == status
        assert not {"content-length", "content-type"} & set(answer.headers)
        assert (await client.answer()).status == 200


@on_both_loops
@pytest.mark.parametrize(
    ("request_bytes", "connection"),
    [
        (get("/", "Connection: Close"), "close"),
        (b"GET / HTTP/1.0\r\n\r\n", "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
    ],
    ids=["close", "http-1.0", "http-1.0-keep-alive"],
)
async def test_connection_header(request_bytes: bytes, connection: str) -> None:
    async with connected() as (_edge, client):
        client.send(request_bytes)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, connection)
        if connection == "close":
            assert await client.rest() == b""
        else:
            client.send(get("/"))
            assert (await client.answer()).status == 200


@on_both_loops
async def test_nothing_is_read_after_connection_close() -> None:
    async with connected() as (edge, client):
        client.send(get("/", "Connection: close") + get("/second"))
        assert (await client.answer()).status == 200
        assert await client.rest() == b""
        assert [request.path for request in edge.app.requests] == ["/"]


@on_both_loops
async def test_response_headers_are_sent_and_checked() -> None:
    async with connected() as (edge, client):
        held = await edge.hold(client)
        held.respond(405, b"text/plain", b"no", ((b"allow", b"POST"),))
        assert (await client.answer()).headers["allow"] == "POST"
        client.send(get("/hold"))
        await until(lambda: len(edge.app.held) == 2)
        with pytest.raises(ValueError, match="line break"):
            edge.app.held[1].respond(200, b"text/plain", b"", ((b"a", b"b\r\nc: d"),))
        with pytest.raises(TypeError):
            edge.app.held[1].respond("no number", b"text/plain", b"")  # type: ignore[arg-type]
        # Those were no answers, so the client waits for another one.
        edge.app.held[1].respond(500, b"text/plain", b"")
        assert (await client.answer()).status == 500


@on_both_loops
async def test_a_second_answer_is_ignored() -> None:
    async with connected() as (edge, client):
        client.send(get("/"))
        await client.answer()
        edge.app.requests[0].respond(200, b"text/plain", b"again")
        client.send(post("/", b"next"))
        assert (await client.answer()).body == b"next"


@on_both_loops
async def test_a_raising_application_is_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as (_edge, client):
        for _ in range(2):  # the first parses the head, the second finds it
            client.send(get("/raise"))
            answer = await client.answer()
            assert (answer.status, answer.code) == (500, "internal")
            assert b"a bug" not in answer.body
        client.send(get("/"))
        assert (await client.answer()).status == 200
    assert caplog.text.count("LookupError: a bug of the application") == 2


@on_both_loops
async def test_an_upgrade_is_not_followed_and_its_body_read() -> None:
    async with connected() as (_edge, client):
        client.send(post("/", b"body", "Connection: Upgrade", "Upgrade: h2c") * 2)
        assert (await client.answer()).body == b"body"
        assert (await client.answer()).body == b"body"


@on_both_loops
async def test_targets_in_absolute_and_asterisk_form() -> None:
    async with connected() as (edge, client):
        client.send(b"GET http://h:1/p%C3%A4?q HTTP/1.1\r\nHost: h\r\n\r\n")
        client.send(b"\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.answer()
        await client.answer()
        first, second = edge.app.requests
        assert (first.path, first.query) == ("/pä", "q")
        assert (second.method, second.path) == ("OPTIONS", "*")


@on_both_loops
@pytest.mark.parametrize("held", [1, 3])
async def test_a_disconnect_is_reported_once(held: int) -> None:
    async with connected() as (edge, client):
        client.send(get("/hold") * held)
        await until(lambda: len(edge.app.held) == held)
        calls: list[int] = []
        for number, request in enumerate(edge.app.held):
            request.on_disconnect = lambda number=number: calls.append(number)
        client.writer.close()
        await until(lambda: edge.connections == 0)
        assert calls == list(range(held))
        for request in edge.app.held:
            assert request.disconnected
            request.respond(200, b"text/plain", b"nobody reads it")


@on_both_loops
async def test_no_disconnect_is_reported_after_the_answer() -> None:
    async with connected() as (edge, client):
        held = await edge.hold(client)
        request = held
        request.on_disconnect = lambda: pytest.fail("it was answered")
        request.respond(200, b"text/plain", b"")
        client.hang_up()
        await until(lambda: edge.connections == 0)
        assert not request.disconnected


@on_both_loops
async def test_reading_pauses_while_many_requests_wait() -> None:
    async with connected() as (edge, client):
        client.send(post("/hold", b"x") * 100)
        await until(lambda: len(edge.app.held) == MAX_PIPELINED)
        client.send(post("/hold", b"y") * 10)
        assert len(edge.app.held) == MAX_PIPELINED
        for done in range(110):
            await until(lambda: len(edge.app.held) > done)  # noqa: B023
            assert len(edge.app.held) <= done + MAX_PIPELINED
            edge.app.held[done].respond(200, b"text/plain", b"")
            assert (await client.answer()).status == 200


@on_both_loops
async def test_waiting_bodies_count_too() -> None:
    async with connected(ApiServerConfig(max_body_bytes=1000)) as (edge, client):
        client.send(post("/hold", b"x" * 900) * 10)
        await until(lambda: len(edge.app.held) == 2)
        for done in range(10):
            await until(lambda: len(edge.app.held) > done)  # noqa: B023
            assert len(edge.app.held) <= done + 2
            edge.app.held[done].respond(200, b"text/plain", b"")
            assert (await client.answer()).status == 200


@on_both_loops
async def test_a_client_that_does_not_take_answers_is_not_read() -> None:
    async with connected() as (edge, client):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        body = b"x" * 1_000_000
        client.send(post("/", body) * 40)
        # The sockets' buffers take some answers; then the server reads no more.
        seen = -1
        while seen != len(edge.app.requests):
            seen = len(edge.app.requests)
            for _ in range(200):
                await _turn()
        assert 0 < seen < 40
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(40):
            assert (await client.answer()).body == body


async def _turn() -> None:
    turns = iter(range(2))
    await until(lambda: next(turns) == 1)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(
        CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key"
    )
    client = ssl.create_default_context(cafile=CERTIFICATES / "localhost.pem")
    return server, client


@on_both_loops
async def test_tls() -> None:
    server_ssl, client_ssl = contexts()
    async with connected(server_ssl=server_ssl, client_ssl=client_ssl) as (
        edge,
        client,
    ):
        for size in (0, 10, 300_000):
            client.send(post("/", b"b" * size))
            assert len((await client.answer()).body) == size
        client.send(b"nonsense\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        edge.pass_time(3.0)
        assert await client.rest() == b""


@on_both_loops
async def test_tls_drain() -> None:
    server_ssl, client_ssl = contexts()
    async with connected(server_ssl=server_ssl, client_ssl=client_ssl) as (
        edge,
        client,
    ):
        client.send(get("/"))
        await client.answer()
        await edge.server.drain(10)
        assert await client.rest() == b""


@on_both_loops
async def test_reject_has_the_same_json_body_as_all_errors() -> None:
    async with serving() as edge:
        client: Client = await edge.connect()
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        answer = await client.answer()
        assert answer.headers["content-type"] == "application/json"
        error = json.loads(answer.body)["error"]
        assert error["code"] == "bad_request"
        assert "Host" in error["message"]
