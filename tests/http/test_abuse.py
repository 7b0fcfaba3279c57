"""Hostile and broken clients get the right 4xx and a closed connection."""

import pytest

from headway.config.schema import ApiServerConfig
from tests.http.edge import connected, on_both_loops, serving, until

H = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = H + b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED = {
    "two-lengths": H + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "same-length-twice": H + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length-list": H + b"Content-Length: 1, 1\r\n\r\na",
    "signed-length": H + b"Content-Length: +1\r\n\r\na",
    "negative-length": H + b"Content-Length: -1\r\n\r\na",
    "hex-length": H + b"Content-Length: 0x1\r\n\r\na",
    "huge-length": H + b"Content-Length: 99999999999999999999999\r\n\r\na",
    "length-and-chunked": (
        H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked-and-length": (
        H + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    "gzip-chunked": H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked-twice": (
        H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "coding-unknown": H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding-identity": H + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked-in-1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "folded-header": H + b"A: b\r\n c\r\n\r\n",
    "folded-first": b"GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n",
    "space-before-colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "no-colon": H + b"nonsense\r\n\r\n",
    "empty-name": H + b": x\r\n\r\n",
    "nul-in-value": H + b"A: b\0c\r\n\r\n",
    "nul-in-name": H + b"A\0: b\r\n\r\n",
    "bare-cr": H + b"A: b\rB: c\r\n\r\n",
    "bare-lf": H + b"A: b\nB: c\r\n\r\n",
    "only-lf": b"GET / HTTP/1.1\nHost: x\n\n",
    "only-cr": b"GET / HTTP/1.1\rHost: x\r\r",
    "leading-lf": b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-host": b"GET / HTTP/1.1\r\n\r\n",
    "two-hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http-0.9": b"GET /\r\n\r\n",
    "http-3.7": b"GET / HTTP/3.7\r\nHost: x\r\n\r\n",
    "lower-method": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown-method": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "connect": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls-to-plain-port": bytes.fromhex("16030100c8010000c40303"),
    "spaces-in-target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul-in-target": b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-no-url": b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    "chunk-size-word": CHUNKED + b"xyz\r\n",
    "chunk-size-word-open": CHUNKED + b"xyz",
    "chunk-size-empty": CHUNKED + b"\r\n",
    "chunk-size-negative": CHUNKED + b"-1\r\n",
    "chunk-size-0x": CHUNKED + b"0x1\r\na\r\n",
    "chunk-size-space": CHUNKED + b"1 \r\na\r\n",
    "chunk-size-endless": CHUNKED + b"0" * 300,
    "chunk-extension-endless": CHUNKED + b"1;" + b"x" * 300,
    "chunk-bare-lf": CHUNKED + b"1\na\n0\n\n",
    "chunk-bare-cr-extension": CHUNKED + b"1;a\rb\r\na\r\n",
    "chunk-too-long": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "trailer-no-colon": CHUNKED + b"0\r\nnonsense\r\n\r\n",
    "trailer-bare-lf": CHUNKED + b"0\r\nA: b\n\n",
}


@on_both_loops
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("piece", [1, 100_000], ids=["bytewise", "at-once"])
async def test_malformed_requests_are_refused_and_later_bytes_dropped(
    data: bytes, piece: int
) -> None:
    async with connected() as (edge, client):
        client.send(b"POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.answer()).body == b"ok"
        for start in range(0, len(data), piece):
            client.send(data[start : start + piece])
            if piece == 1:
                await until(iter([False, True]).__next__)
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""
        assert [request.path for request in edge.app.requests] == ["/first"]
        client.writer.close()
        await until(lambda: edge.connections == 0)


@on_both_loops
async def test_garbage_after_a_pipelined_request_follows_its_answer() -> None:
    async with connected() as (edge, client):
        client.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n\x00\xffnonsense\r\n\r\n")
        await until(lambda: len(edge.app.rejected) == 1)
        edge.app.held[0].respond(200, b"text/plain", b"fine")
        first = await client.answer()
        assert (first.body, "connection" in first.headers) == (b"fine", False)
        second = await client.answer()
        assert (second.status, second.headers["connection"]) == (400, "close")
        assert await client.rest() == b""


@on_both_loops
@pytest.mark.parametrize("rest", [b"", b"abc"], ids=["announced", "sent"])
async def test_announced_body_over_the_limit(rest: bytes) -> None:
    async with serving(ApiServerConfig(max_body_bytes=10)) as edge:
        for _ in range(2):  # a cached head does not bypass the limit
            client = await edge.connect()
            client.send(
                H + b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n" + rest
            )
            answer = await client.answer()
            assert (answer.status, answer.code) == (413, "body_too_large")
            assert await client.rest() == b""
        client = await edge.connect()
        client.send(H + b"Content-Length: 11\r\n\r\n" + b"x" * 11)
        assert (await client.answer()).status == 413
        client = await edge.connect()
        client.send(H + b"Content-Length: 11\r\n\r\n" + b"x" * 11)
        assert (await client.answer()).status == 413
        assert not edge.app.requests


@on_both_loops
async def test_the_413_reaches_a_client_that_sends_on() -> None:
    async with connected() as (_edge, client):
        client.send(H + b"Content-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
        assert (await client.answer()).status == 413


@on_both_loops
async def test_chunks_over_the_limit() -> None:
    async with connected(ApiServerConfig(max_body_bytes=10)) as (_edge, client):
        client.send(CHUNKED + b"6\r\n123456\r\n4\r\n7890\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"1234567890"
        client.send(CHUNKED + b"6\r\n123456\r\n5\r\n")
        assert (await client.answer()).status == 413
        assert await client.rest() == b""


@on_both_loops
@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A:\r\n" * 128 + b"\r\n",
        CHUNKED + b"0\r\nA: " + b"a" * 1000,
        CHUNKED + b"0\r\n" + b"A: bcdefghijkl\r\n" * 100,
    ],
    ids=["url", "open-header", "header", "many", "trailer", "many-trailers"],
)
async def test_headers_over_the_limits(data: bytes) -> None:
    async with connected(ApiServerConfig(max_header_bytes=900)) as (edge, client):
        client.send(data)
        answer = await client.answer()
        assert (answer.status, answer.code) == (431, "headers_too_large")
        assert await client.rest() == b""
        assert not edge.app.requests


@on_both_loops
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTT",
        H + b"Content-Length: 9\r\n\r\nabc",
        CHUNKED + b"9\r\nabc",
        CHUNKED + b"1\r\na\r\n",
    ],
    ids=["head", "body", "chunk", "chunks"],
)
async def test_truncated_request(data: bytes) -> None:
    async with serving() as edge:
        for _ in range(2):  # the head of the first refusal is remembered
            client = await edge.connect()
            client.send(data)
            client.writer.write_eof()
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (400, "close")
            assert await client.rest() == b""
        assert not edge.app.requests
