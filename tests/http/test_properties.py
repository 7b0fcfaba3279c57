"""The reader's edges, driven by hypothesis: cuts anywhere, bytes of any kind."""

import asyncio
import itertools
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headway.config.schema import ApiServerConfig
from headway.errors import RequestError
from headway.http import head as head_module
from headway.http.connection import Connection
from headway.http.head import HeadParser
from headway.http.request_reader import ChunkedBody
from headway.http.server_state import ServerState
from tests.http.edge import FakeClock, Recorder

LIMITS = ApiServerConfig(max_header_bytes=2000, max_body_bytes=5000)

TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda t: "x-" + t)
VALUES = st.text("abc ;,=\"'/0", max_size=20).map(str.strip)


class Wire(asyncio.Transport):
    """Takes what the protocol sends; stands for the loop's transport."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture(autouse=True, scope="module")
def _small_head_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_module, "_MAX_CACHED", 3)  # so that it is cleared often
        yield


class Wired:
    def __init__(self, config: ApiServerConfig = LIMITS) -> None:
        self.app = Recorder()
        self.wire = Wire()
        self.clock = FakeClock()
        state = ServerState(
            application=self.app,
            config=config,
            now=self.clock.now,
            on_close=lambda: None,
        )
        self.protocol = Connection(state)
        self.protocol.connection_made(self.wire)

    def feed(self, data: bytes, cuts: list[int]) -> None:
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for start, end in itertools.pairwise(edges):
            if self.wire.closed:
                return
            self.protocol.data_received(data[start:end])

    def requests(self) -> list[tuple[str, str, str, object, bytes]]:
        return [
            (r.method, r.path, r.query, r.headers, r.body) for r in self.app.requests
        ]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]))
    path = draw(st.sampled_from(["/", "/a%20b?c=d", "/hold", "/x/y?"]))
    lines = [f"{method} {path} HTTP/1.1", "Host: h"]
    lines += [
        f"{n}: {v}" for n, v in draw(st.lists(st.tuples(TOKENS, VALUES), max_size=4))
    ]
    body = draw(st.binary(max_size=200))
    kind = draw(st.sampled_from(["none", "length", "chunks"]))
    if kind == "none":
        body = b""
    elif kind == "length":
        lines.append(f"Content-Length: {len(body)}")
        if draw(st.booleans()):
            lines.append("Expect: 100-continue")
    else:
        lines.append("Transfer-Encoding: chunked")
        size = draw(st.integers(1, 60))
        parts = [body[i : i + size] for i in range(0, len(body), size)]
        extension = draw(st.sampled_from([b"", b";a=b"]))
        body = b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in parts)
        body += b"0\r\n" + draw(st.sampled_from([b"", b"T: v\r\n"])) + b"\r\n"
    empty_line = draw(st.sampled_from([b"", b"", b"\r\n"]))
    return empty_line + "\r\n".join([*lines, "", ""]).encode() + body


STREAMS = st.lists(requests(), min_size=1, max_size=5).map(b"".join)
CUTS = st.lists(st.integers(0, 5000), max_size=30)


def without_continue(sent: bytes) -> bytes:
    sent = sent.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    return re.sub(rb"date: [^\r]*", b"date:", sent)


@settings(max_examples=300)
@given(stream=STREAMS, cuts=CUTS)
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    whole, cut, bytewise = Wired(), Wired(), Wired()
    whole.feed(stream, [])
    cut.feed(stream, cuts)
    bytewise.feed(stream, list(range(len(stream))))
    assert whole.requests()
    assert not whole.app.rejected
    assert cut.requests() == bytewise.requests() == whole.requests()
    for connection in (whole, cut, bytewise):
        for request in list(connection.app.held):
            request.respond(200, b"text/plain", b"")
    assert (
        without_continue(cut.wire.sent)
        == without_continue(bytewise.wire.sent)
        == without_continue(whole.wire.sent)
    )


FRAGMENTS = st.sampled_from(
    [
        b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b" ", b":", b"0\r\n\r\n", b"5\r\n",
        b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 5\r\n", b"HTTP/1.0",
        b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: ",
        b"POST /hold HTTP/1.1\r\nHost: x\r\n", b"hello", b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"CONNECT x HTTP/1.1\r\n",
    ]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    stream = bytearray(draw(STREAMS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        stream[at : at + draw(st.integers(0, 9))] = draw(
            FRAGMENTS | st.binary(max_size=4)
        )
    return bytes(stream)


ANYTHING = st.binary(max_size=300) | st.lists(FRAGMENTS, max_size=15).map(b"".join)


def check_answers(sent: bytes, *, may_be_head: bool) -> None:
    """Each answer is whole, and there are no bytes beside the answers."""
    sent = sent.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    at = 0
    while at < len(sent):
        end = sent.index(b"\r\n\r\n", at) + 4
        assert re.match(rb"HTTP/1\.1 \d{3} ", sent[at:])
        length = re.search(rb"content-length: (\d+)\r\n", sent[at:end])
        assert length is not None
        ends_here = end == len(sent) or sent.startswith(b"HTTP/1.1 ", end)
        at = end + (0 if may_be_head and ends_here else int(length[1]))
    assert at == len(sent)


@settings(max_examples=500)
@given(data=ANYTHING | damaged(), cuts=CUTS)
@example(data=b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET", cuts=[])
def test_any_bytes_end_in_answers_and_a_close(data: bytes, cuts: list[int]) -> None:
    connection = Wired()
    connection.feed(data, cuts)
    for request in connection.app.held:
        request.respond(200, b"text/plain", b"")
    for seconds in (31.0, 76.0, 31.0):
        connection.clock.time += seconds
        connection.protocol.sweep(connection.clock.time)
    assert connection.wire.closed
    assert all(400 <= error.status < 500 for error in connection.app.rejected)
    assert len(connection.app.rejected) <= 1
    check_answers(connection.wire.sent, may_be_head=b"HEAD" in data)
    connection.protocol.connection_lost(None)


@settings(max_examples=300)
@given(data=ANYTHING | damaged(), cuts=CUTS)
def test_cuts_change_no_verdict(data: bytes, cuts: list[int]) -> None:
    whole, cut = Wired(), Wired()
    whole.feed(data, [])
    cut.feed(data, cuts)
    assert cut.requests() == whole.requests()
    assert bool(cut.app.rejected) == bool(whole.app.rejected)


@given(data=st.binary(max_size=100) | st.lists(FRAGMENTS, max_size=9).map(b"".join))
def test_a_head_parses_or_is_refused(data: bytes) -> None:
    try:
        head = HeadParser(LIMITS).parse(data + b"\r\n\r\n")
    except RequestError:
        return
    assert head.length >= -1


@given(body=st.binary(max_size=500), sizes=st.lists(st.integers(1, 50)), cuts=CUTS)
def test_chunks_join_to_the_body(
    body: bytes, sizes: list[int], cuts: list[int]
) -> None:
    encoded, at = b"", 0
    for size in [*sizes, len(body) + 1]:
        part = body[at : at + size]
        if part:
            encoded += b"%X\r\n%b\r\n" % (len(part), part)
        at += size
    encoded += b"0\r\n\r\n"
    decoder, buffer = ChunkedBody(LIMITS), b""
    edges = sorted({0, len(encoded), *(cut % len(encoded) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        buffer += encoded[start:end]
        buffer = buffer[decoder.feed(buffer, 0) :]
    assert decoder.complete
    assert not buffer
    assert decoder.data == body
