"""Fuzzed requests to a real server on a real socket, beside a client that is served on.

Valid requests are answered correctly and in order. The first invalid one gets a 4xx,
and the connection ends. h11, which shares no code with the server, parses the same
bytes: both must agree where each request begins and ends.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import h11
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from headway.config.schema import ApiServerConfig
from tests.http.edge import LOOPS, Client, Edge, Response, serving, until

LIMITS = ApiServerConfig(max_header_bytes=2000, max_body_bytes=500)


class ValidRequest(NamedTuple):
    """The bytes of a request, and how the server must understand them."""

    raw: bytes
    method: str
    target: str
    body: bytes


class Bench:
    """A server in its own event loop, and a second client that is never disturbed."""

    def __init__(self, loop_name: str) -> None:
        self._runner = asyncio.Runner(loop_factory=LOOPS[loop_name])
        self._serving = serving(LIMITS)
        self._sent = 0

    def start(self) -> None:
        self._edge = self._runner.run(self._start())

    async def _start(self) -> Edge:
        edge = await self._serving.__aenter__()
        self._other = await edge.connect()
        await self._check_other_client()
        return edge

    def close(self) -> None:
        self._runner.run(self._serving.__aexit__(None, None, None))
        self._runner.close()

    async def _check_other_client(self) -> None:
        """Send a request on a second connection, which stays open throughout."""
        self._sent += 1
        body = b"other %d" % self._sent
        self._other.send(
            b"POST /other HTTP/1.1\r\nHost: n\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        answer = await self._other.answer()
        assert (answer.status, answer.body) == (200, body)

    def run(self, data: bytes, cuts: list[int], methods: list[str]) -> "Outcome":
        """Send `data` in pieces, then the end of input; return answers and requests.

        Args:
            data: All bytes that the client sends.
            cuts: Offsets at which it pauses.
            methods: Methods of the first requests: answers to HEAD have no body.
        """
        return self._runner.run(self._run(data, cuts, methods))

    async def _run(self, data: bytes, cuts: list[int], methods: list[str]) -> "Outcome":
        edge = self._edge
        edge.app.requests.clear()
        edge.app.rejected.clear()
        tasks = asyncio.all_tasks()
        async with asyncio.timeout(5):
            client = await edge.connect()
            edge.clients.remove(client)
            edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
            for start, end in itertools.pairwise(edges):
                client.send(data[start:end])
                await self._check_other_client()  # by then the server has read it
            # Within a request, the end of input is an error; otherwise it is not.
            if client.writer.can_write_eof():
                client.writer.write_eof()
            answers = [answer async for answer in _answers(client, methods)]
            client.hang_up()
            await until(lambda: edge.connections == 1)
            await self._check_other_client()
        assert asyncio.all_tasks() <= tasks
        requests = [
            (r.method, _target(r.head.raw_path, r.query), r.body)
            for r in edge.app.requests
            if r.path != "/other"
        ]
        return Outcome(answers, requests, [e.status for e in edge.app.rejected])


class Outcome(NamedTuple):
    answers: list[Response]
    """Complete answers, in order, up to the end of the connection."""
    requests: list[tuple[str, str, bytes]]
    """Requests that the application received: method, target, body."""
    refusals: list[int]
    """Statuses of the requests that the server itself refused."""


def _target(path: bytes, query: str) -> str:
    return path.decode("latin-1") + (f"?{query}" if query else "")


async def _answers(client: Client, methods: list[str]) -> AsyncIterator[Response]:
    kinds = iter(methods)
    while True:
        is_head = next(kinds, "") == "HEAD"
        try:
            answer = await client.answer(head=True)
            while answer.status == 100:
                answer = await client.answer(head=True)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return
        except ConnectionError:
            return
        length = int(answer.headers["content-length"])
        if answer.headers.get("connection") == "close":
            # A refused request may be a HEAD: then there is no body.
            answer.body = await client.rest()
            assert len(answer.body) in (0, length)
        elif not is_head:
            answer.body = await client.reader.readexactly(length)
        yield answer


@pytest.fixture(scope="module", params=list(LOOPS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    made.start()
    yield made
    made.close()


# --- valid requests

NAMES = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda t: "x-" + t)
VALUES = st.text("abc ;,=\"'/0", max_size=20).map(str.strip)
BODIES = st.binary(max_size=120)


@st.composite
def valid(draw: st.DrawFn) -> ValidRequest:
    """A valid request that leaves its connection open."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE"]))
    target = draw(st.sampled_from(["/", "/a%20b?c=d", "/x/y", "/q?x=%00&y"]))
    lines = [f"{method} {target} HTTP/1.1", "Host: h"]
    lines += [f"{n}: {v}" for n, v in draw(st.lists(st.tuples(NAMES, VALUES)))][:5]
    body = draw(BODIES)
    framing = draw(st.sampled_from(["none", "length", "chunks"]))
    sent = body
    if framing == "none":
        body = sent = b""
    elif framing == "length":
        lines.insert(draw(st.integers(1, len(lines))), f"Content-Length: {len(body)}")
    else:
        lines.insert(draw(st.integers(1, len(lines))), "Transfer-Encoding: chunked")
        size = draw(st.integers(1, 60))
        parts = [body[i : i + size] for i in range(0, len(body), size)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        sent += b"0\r\n" + draw(st.sampled_from([b"", b"T: v\r\n"])) + b"\r\n"
    raw = "\r\n".join([*lines, "", ""]).encode() + sent
    return ValidRequest(raw, method, target, body)


# --- invalid bytes

POST = b"POST /x HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@st.composite
def bad_line(draw: st.DrawFn) -> tuple[bytes, set[int]]:
    """A head with one bad line, anywhere among good ones."""
    lines = [f"{n}: {v}".encode() for n, v in draw(st.lists(st.tuples(NAMES, VALUES)))]
    lines = [b"Host: h", b"Content-Length: 5", *lines[:5]]
    bad, statuses = draw(
        st.sampled_from(
            [
                (b"Content-Length: 4", {400}),
                (b"Content-Length: 5", {400}),
                (b"content-length: 5, 5", {400}),
                (b"Transfer-Encoding: chunked", {400}),
                (b"Transfer-Encoding: gzip, chunked", {400}),
                (b"Transfer-Encoding : chunked", {400}),
                (b"Host: other", {400}),
                (b"x: a\0b", {400}),
                (b"x\0y: a", {400}),
                (b"x: a\rb", {400}),
                (b"x: a\nb: c", {400}),
                (b"x: a\r\n folded", {400}),
                (b"x: a\r\n\tfolded", {400}),
                (b"x y: a", {400}),
                (b": a", {400}),
                (b"no colon", {400}),
                (b"x: " + b"a" * 2000, {431}),
                (b"x" * 2000 + b": a", {431}),
                (b"\r\n".join([b"x: a"] * 21), {431}),
            ]
        )
    )
    lines.insert(draw(st.integers(1, len(lines))), bad)
    return b"POST /x HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\nhello", statuses


BAD_ENDS = st.sampled_from(
    [
        (POST + b"Content-Length: 501\r\n\r\n", {413}),
        (POST + b"Content-Length: +5\r\n\r\nhello", {400}),
        (POST + b"Content-Length: 0x5\r\n\r\nhello", {400}),
        (POST + b"Content-Length: 5 5\r\n\r\nhello", {400}),
        (POST + b"Content-Length: \r\n\r\nhello", {400}),
        (POST + b"Content-Length: -5\r\n\r\nhello", {400}),
        (CHUNKED + b"5\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"5\r\nhelloo\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"5;a\0\r\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", {400}),
        (CHUNKED + b"1f5\r\nhello", {413}),
        (CHUNKED + b"0\r\nT v\r\n\r\n", {400}),
        (CHUNKED + b"0\r\nT: v\n\r\n", {400}),
        (CHUNKED + b"0\r\nT: " + b"v" * 2001 + b"\r\n\r\n", {431}),
        (b"GET / HTTP/1.1\r\n\r\n", {400}),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", {400}),
        (b"GET /\r\nHost: h\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\nHost: h\n\n", {400}),
        (b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", {400}),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n", {431}),
        (b"\0\xffnonsense\r\n\r\n", {400}),
        (b"\n", {400}),
    ]
)
CUT_SHORT = st.builds(
    lambda request, at: (request.raw[: 1 + at % (len(request.raw) - 1)], {400}),
    valid(),
    st.integers(0, 1000),
)
GARBAGE = st.one_of(bad_line(), BAD_ENDS, CUT_SHORT)
CUTS = st.lists(st.integers(0, 3000), max_size=8)
pytestmark = pytest.mark.timeout(60)  # of many examples
FUZZ = settings(max_examples=60, deadline=None)


@seed(3)
@FUZZ
@given(st.lists(valid(), max_size=5), CUTS)
def test_valid_requests_are_answered_in_order(
    bench: Bench, requests: list[ValidRequest], cuts: list[int]
) -> None:
    got = bench.run(
        b"".join(r.raw for r in requests), cuts, [r.method for r in requests]
    )
    assert got.requests == [(r.method, r.target, r.body) for r in requests]
    assert got.refusals == []
    assert [(a.status, a.body) for a in got.answers] == [
        (200, b"" if r.method == "HEAD" else r.body) for r in requests
    ]


@seed(4)
@FUZZ
@given(
    st.lists(valid(), max_size=4),
    GARBAGE,
    st.lists(valid(), max_size=2),
    CUTS,
)
def test_invalid_bytes_get_a_4xx_after_earlier_answers(
    bench: Bench,
    requests: list[ValidRequest],
    garbage: tuple[bytes, set[int]],
    after: list[ValidRequest],
    cuts: list[int],
) -> None:
    bad, statuses = garbage
    # After an incomplete request, further bytes would complete it.
    tail = b"" if statuses == {400} and _is_open(bad) else _joined(after)
    got = bench.run(
        _joined(requests) + bad + tail, cuts, [request.method for request in requests]
    )
    assert got.requests == [(r.method, r.target, r.body) for r in requests]
    *answers, refusal = got.answers
    assert [(a.status, a.body) for a in answers] == [
        (200, b"" if r.method == "HEAD" else r.body) for r in requests
    ]
    assert refusal.status in statuses
    assert refusal.headers["connection"] == "close"


def _joined(requests: list[ValidRequest]) -> bytes:
    return b"".join(request.raw for request in requests)


def _is_open(data: bytes) -> bool:
    """Return whether h11 still waits for the rest of a request."""
    return not _read_by_h11(data)[1]


def _read_by_h11(data: bytes) -> tuple[list[tuple[str, str, bytes]], bool]:
    """Return the requests that h11 reads, and whether it then finds a fault."""
    requests: list[tuple[str, str, bytes]] = []
    while True:
        while data.startswith(b"\r\n"):  # to be ignored, says RFC 9112, 2.2
            data = data[2:]
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        try:
            request = connection.next_event()
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += bytes(event.data)
        except h11.RemoteProtocolError:
            return requests, True
        if not isinstance(request, h11.Request) or event is h11.NEED_DATA:
            return requests, False
        requests.append((request.method.decode(), request.target.decode(), body))
        if connection.their_state is h11.MUST_CLOSE:
            return requests, False
        data = connection.trailing_data[0]


# --- bytes of any kind

FRAGMENTS = st.sampled_from(
    [
        b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b"5\r\n",
        b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 5\r\n", b"HTTP/1.0",
        b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\n", b"Expect: 100-continue\r\n", b"chunked",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Content-Length:", b"\xff",
        b"hello", b"\x80",
    ]
)  # fmt: skip


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    """Valid requests, cut, mixed with each other and with fragments."""
    stream = bytearray(_joined(draw(st.lists(valid(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        new = draw(FRAGMENTS | st.binary(max_size=3) | valid().map(_second_half))
        stream[at : at + draw(st.integers(0, 9))] = new
    return bytes(stream)


def _second_half(request: ValidRequest) -> bytes:
    return request.raw[len(request.raw) // 2 :]


@seed(5)
@settings(FUZZ, max_examples=150)
@given(spliced(), CUTS)
def test_h11_reads_the_same_requests(
    bench: Bench, stream: bytes, cuts: list[int]
) -> None:
    theirs, _ = _read_by_h11(stream)
    got = bench.run(stream, cuts, [method for method, _, _ in theirs])
    count = len(got.requests)
    assert [(method, body) for method, _, body in got.requests] == [
        (method, body) for method, _, body in theirs[:count]
    ], "h11 reads different requests"
    assert [answer.status for answer in got.answers] == [200] * count + got.refusals
    assert len(got.refusals) <= 1
    for status in got.refusals:
        assert 400 <= status < 500
        assert got.answers[-1].headers["connection"] == "close"
