"""HTTP abuse over real sockets: the right 4xx, a closed connection, others served.

tests/http/test_abuse.py has many more spellings, against the server in one process.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.serving.client import Connection
from tests.serving.server import Server

_SERVICE = """
import headway

svc = headway.Service("echo")

@svc.api
async def echo(value: int) -> int:
    return value
"""
_CONFIG = """
api_server:
  workers: 2
  max_header_bytes: 4096
  max_body_bytes: 1000
  request_timeout_s: 0.8
"""
_POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_WHOLE = _POST + b"Content-Length: 1\r\n\r\n7"

CASES: dict[str, tuple[bytes, list[int]]] = {
    "conflicting Content-Length": (
        _POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n77",
        [400],
    ),
    "duplicate Content-Length": (
        _POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n7",
        [400],
    ),
    "Content-Length with Transfer-Encoding": (
        _POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n7",
        [400],
    ),
    "obsolete line folding": (_POST + b"A: b\r\n c\r\n\r\n", [400]),
    "bad chunk size": (_CHUNKED + b"0x1\r\n7\r\n0\r\n\r\n", [400]),
    "chunk longer than its size": (_CHUNKED + b"1\r\n77\r\n0\r\n\r\n", [400]),
    "NUL in a header": (_POST + b"A: b\0c\r\n\r\n", [400]),
    "bare CR in a header": (_POST + b"A: b\rB: c\r\n\r\n", [400]),
    "bare LF in a header": (_POST + b"A: b\nB: c\r\n\r\n", [400]),
    "over-long request line": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n", [431]),
    "over-long header line": (_POST + b"A: " + b"a" * 5000, [431]),
    "too many headers": (_POST + b"A: b\r\n" * 129 + b"\r\n", [431]),
    "body over the limit": (_POST + b"Content-Length: 1001\r\n\r\n7", [413]),
    "chunks over the limit": (_CHUNKED + b"3e9\r\n7", [413]),
    "truncated head": (_POST, [400]),
    "truncated body": (_POST + b"Content-Length: 9\r\n\r\n777", [400]),
    "truncated chunk": (_CHUNKED + b"9\r\n777", [400]),
    "pipelined garbage after a valid request": (
        _WHOLE + b"\0\xffnonsense\r\n\r\n" + _WHOLE,
        [200, 400],
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "service.py").write_text(_SERVICE)
    with Server(
        "service:svc", production=True, config=_CONFIG, working_dir=folder
    ) as made:
        yield made
        assert "Traceback" not in made.log
        assert " ERROR " not in made.log


@asynccontextmanager
async def _other_clients(port: int) -> AsyncIterator[None]:
    """Other clients send requests all the time and get their own answers."""
    is_over = False

    async def ask(number: int) -> int:
        async with await Connection.open(port) as connection:
            asked = 0
            while not is_over or asked < 3:
                value = 1000 * number + asked
                response = await connection.request("/echo", str(value))
                assert (response.status, response.json()) == (200, value)
                asked += 1
        return asked

    tasks = [asyncio.create_task(ask(number)) for number in range(4)]
    try:
        yield
    finally:
        is_over = True
        await asyncio.gather(*tasks)


def _statuses(received: bytes) -> list[int]:
    """Return the statuses of the answers; there must be nothing but whole answers."""
    statuses = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        assert match is not None, head
        assert length is not None, head
        assert len(received) >= int(length[1])
        received = received[int(length[1]) :]
        statuses.append(int(match[1]))
    assert b"\r\nconnection: close" in head
    return statuses


@pytest.mark.parametrize(("data", "statuses"), CASES.values(), ids=CASES)
async def test_malformed_request_gets_a_4xx(
    server: Server, data: bytes, statuses: list[int]
) -> None:
    async with asyncio.timeout(10), _other_clients(server.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        writer.write_eof()
        assert _statuses(await reader.read()) == statuses
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "data",
    [_POST, _POST + b"Content-Length: 90\r\n\r\n" + b"7" * 90, _CHUNKED + b"1\r\n7"],
    ids=["head", "body", "chunks"],
)
async def test_slow_request_is_answered_408(server: Server, data: bytes) -> None:
    async with asyncio.timeout(10), _other_clients(server.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data[:5])
        first = b""
        for byte in data[5:]:
            try:  # a byte, and then a pause in which the server may answer
                async with asyncio.timeout(0.1):
                    first = await reader.read(1)
                break
            except TimeoutError:
                writer.write(bytes([byte]))
        assert _statuses(first + await reader.read()) == [408]
        writer.close()
        await writer.wait_closed()
