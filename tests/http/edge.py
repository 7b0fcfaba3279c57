"""A real HttpServer in-process, a clock to move, and raw clients."""

import asyncio
import functools
import inspect
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import uvloop

from headway.config.schema import ApiServerConfig
from headway.errors import HeadwayError
from headway.http.balancer import ConnectionBalancer
from headway.http.request import Answer, Application, Request
from headway.http.server import HttpServer

JSON = b"application/json"


class FakeClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Recorder:
    """Echoes at once what comes to it; holds what comes to /hold."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.held: list[Request] = []
        self.rejected: list[HeadwayError] = []

    def handle(self, request: Request) -> None:
        self.requests.append(request)
        if request.path == "/raise":
            raise LookupError("a bug of the application")
        if request.path.startswith("/hold"):
            self.held.append(request)
        else:
            request.respond(200, b"text/plain", request.body)

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        self.rejected.append(error)
        body = {"error": {"code": error.code, "message": error.message, "id": None}}
        return error.status, JSON, json.dumps(body).encode(), ()


class Response(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


class Client:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, head: bool = False) -> Response:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(": ")
            assert name not in headers
            headers[name] = value
        status = int(lines[0].split(" ")[1])
        length = 0 if head or status == 100 else int(headers.get("content-length", 0))
        return Response(status, headers, await self.reader.readexactly(length))

    async def rest(self) -> bytes:
        """All that still comes until the server closes."""
        return await self.reader.read()

    def hang_up(self) -> None:
        self.writer.transport.abort()


class Edge:
    def __init__(self, server: HttpServer, app: Recorder, clock: FakeClock) -> None:
        self.server = server
        self.app = app
        self.clock = clock
        self.port = 0
        self.ssl_context: ssl.SSLContext | None = None
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.ssl_context,
            server_hostname="localhost" if self.ssl_context else None,
        )
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    @property
    def connections(self) -> int:
        return len(self.server._state.connections)

    async def hold(self, client: Client) -> Request:
        """Send a request to /hold, and return it once the application has it."""
        count = len(self.app.held)
        client.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(self.app.held) > count)
        return self.app.held[-1]

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.server.sweep()


def bound_socket() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def serving(
    config: ApiServerConfig | None = None,
    *,
    server_ssl: ssl.SSLContext | None = None,
    client_ssl: ssl.SSLContext | None = None,
    wrap: Callable[[Recorder], Application] = lambda app: app,
    balancer: ConnectionBalancer | None = None,
) -> AsyncIterator[Edge]:
    app, clock, listener = Recorder(), FakeClock(), bound_socket()
    server = HttpServer(
        application=wrap(app),
        config=config or ApiServerConfig(),
        clock=clock,
        listener=listener,
        ssl_context=server_ssl,
        balancer=balancer,
    )
    await server.start()
    edge = Edge(server, app, clock)
    edge.port = listener.getsockname()[1]
    edge.ssl_context = client_ssl
    try:
        yield edge
    finally:
        for client in edge.clients:
            client.hang_up()
        await server.aclose()
        listener.close()
        assert edge.connections == 0


@asynccontextmanager
async def connected(
    config: ApiServerConfig | None = None, **options: Any
) -> AsyncIterator[tuple[Edge, Client]]:
    """Serve, with one client connected."""
    async with serving(config, **options) as edge:
        yield edge, await edge.connect()


async def turns(count: int) -> None:
    """Let the loop turn a number of times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; the test's time-out bounds it."""
    while not condition():  # noqa: ASYNC110  # there is no event for every state
        await asyncio.sleep(0)


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on_both_loops(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test once on asyncio's loop and once on uvloop."""

    async def bounded(**arguments: object) -> None:
        async with asyncio.timeout(10):
            await scenario(**arguments)

    @functools.wraps(scenario)
    def test(loop_name: str, **arguments: object) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(bounded(**arguments))

    signature = inspect.signature(scenario)
    loop_parameter = inspect.Parameter(
        "loop_name", inspect.Parameter.POSITIONAL_OR_KEYWORD
    )
    test.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[loop_parameter, *signature.parameters.values()]
    )
    del test.__wrapped__  # pytest would take it for async
    marked: Callable[..., None] = pytest.mark.parametrize("loop_name", list(LOOPS))(
        test
    )
    return marked
