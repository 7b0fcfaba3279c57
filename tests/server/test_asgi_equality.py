"""Native serving, middleware and ASGI answer the same requests alike."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import headway
from headway.api.worker import ApiWorker
from headway.config.resolution import ResolvedConfig, resolve
from headway.io import JSON, NumpyNdarray, Text
from headway.server.asgi_app import ServiceApp
from headway.server.embedded import EmbeddedServer
from tests.http.edge import Client, bound_socket

MAX_BODY = 300


class Doubler(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        return rows * 2


def make_service(*, with_middleware: bool = False) -> headway.Service:
    """Return a service whose answers depend only on the request."""
    runner = headway.Runner(Doubler, name="doubler")
    svc = headway.Service("equal", runners=[runner])

    @svc.api(input=NumpyNdarray(shape=(-1, 2)), output=NumpyNdarray())
    async def double(rows: Any) -> Any:
        return await runner.double.async_run(rows)

    @svc.api
    async def typed(value: dict[str, int]) -> dict[str, int]:
        return value

    @svc.api(input=Text(), output=Text(), route="/a-b")
    def shout(text: str) -> str:
        return text.upper()

    @svc.api(input=Text(), output=Text())
    async def greet(text: str, ctx: headway.Context) -> str:
        ctx.response.status_code = 204 if text == "nothing" else 203
        ctx.response.headers["X-Query"] = ctx.request.query
        return f"{ctx.request.path} {text}"

    @svc.api(input=JSON(), output=JSON())
    async def fussy(value: Any) -> Any:
        raise headway.errors.OverloadedError("not today", retry_after_s=2.5)

    if with_middleware:
        svc.add_asgi_middleware(PassThrough)
    return svc


class PassThrough:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Asked(NamedTuple):
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


class Answered(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def config_of(service: headway.Service) -> ResolvedConfig:
    flags = {"api_server.max_body_bytes": MAX_BODY}
    methods = {runner.name: list(runner.methods) for runner in service.runners}
    return resolve(environ={}, flags=flags, runner_methods=methods)


class Native:
    """A service on the native server."""

    def __init__(self, *, with_middleware: bool) -> None:
        self._service = make_service(with_middleware=with_middleware)
        self._listener = bound_socket()
        self._server = EmbeddedServer(
            service=self._service, config=config_of(self._service)
        )
        self._worker: ApiWorker

    async def start(self) -> None:
        self._worker = self._server.load(self._listener)
        await self._worker.start()
        await self._worker.wait_ready()

    async def ask(self, asked: Asked) -> Answered:
        reader, writer = await asyncio.open_connection(*self._listener.getsockname())
        client = Client(reader, writer)
        headers = [
            ("host", "t"),
            *asked.headers,
            ("content-length", str(len(asked.body))),
        ]
        lines = [f"{asked.method} {asked.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + asked.body)
        answer = await client.answer(head=asked.method == "HEAD")
        client.hang_up()
        fields = [
            (name, value)
            for name, value in answer.headers.items()
            if name not in ("date", "connection")
        ]
        return Answered(answer.status, fields, answer.body)

    async def close(self) -> None:
        await self._worker.drain(5)
        await self._server.aclose()
        self._listener.close()


async def ask_asgi(app: ServiceApp, asked: Asked) -> Answered:
    transport = httpx.ASGITransport(app)
    request = httpx.Request(
        asked.method,
        "http://t" + asked.path,
        headers=httpx.Headers([("host", "t"), *asked.headers], encoding="latin-1"),
        content=asked.body,
    )
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = b"".join([part async for part in response.stream])
    return Answered(response.status_code, response.headers.multi_items(), body)


class Stand(NamedTuple):
    runner: asyncio.Runner
    native: Native
    bridged: Native
    app: ServiceApp

    async def answers(self, asked: Asked) -> tuple[Answered, Answered, Answered]:
        async with asyncio.timeout(10):
            return (
                await self.native.ask(asked),
                await self.bridged.ask(asked),
                await ask_asgi(self.app, asked),
            )


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """Return the same service three times, on a loop of their own."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as closing:
        natives = [Native(with_middleware=with_it) for with_it in (False, True)]
        for native in natives:
            runner.run(native.start())
            closing.callback(lambda native: runner.run(native.close()), native)
        service = make_service()
        app = ServiceApp(service=service, config=config_of(service))
        runner.run(app.__aenter__())
        closing.callback(lambda: runner.run(app.__aexit__(None, None, None)))
        yield Stand(runner, natives[0], natives[1], app)


PATHS = st.sampled_from(
    [
        *(
            "/double",
            "/typed",
            "/greet",
            "/a-b",
            "/fussy",
            "/greet?q=%20&r",
            "/%67reet",
        ),
        *("/", "/docs.json", "/livez", "/readyz", "/-/docs/start.js", "/-/docs/no"),
        *("/nowhere", "//double", "/double/", "/%C3%A4%FF"),
    ]
)
HEADERS = st.lists(
    st.sampled_from(
        [
            *(("headway-timeout-ms", value) for value in ("9000", "0", "soon")),
            *(("headway-priority", value) for value in ("0", "9", "10", "x")),
            *(("accept", value) for value in ("*/*", "text/html", "application/json")),
            ("x-other", "\xe4 b"),
        ]
    ),
    max_size=3,
)
TYPES = st.sampled_from(
    ["application/json", "text/plain", "application/octet-stream", "nonsense"]
)
BODIES = st.one_of(
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), max_size=4).map(
        lambda rows: str(rows).encode()
    ),
    st.sampled_from([b"", b'{"a": 1}', b'{"a": "b"}', b"nothing", b"[[1, 2], [3]]"]),
    st.binary(max_size=40),
    st.integers(MAX_BODY - 1, MAX_BODY + 1).map(lambda size: b"x" * size),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT"]),
    path=PATHS,
    headers=HEADERS,
    content_type=TYPES,
    body=BODIES,
)
@example("HEAD", "/", [], "text/plain", b"")
@example("OPTIONS", "/double", [], "text/plain", b"")
@example("POST", "/double", [], "application/json", b"[[1, 2]]")
@example("POST", "/greet", [], "text/plain", b"nothing")
def test_responses_are_equal(
    stand: Stand,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    content_type: str,
    body: bytes,
) -> None:
    unique = dict(headers)
    asked = Asked(method, path, [*unique.items(), ("content-type", content_type)], body)
    native, bridged, hosted = stand.runner.run(stand.answers(asked))
    assert native == bridged == hosted


def test_all_servers_answer(stand: Stand) -> None:
    rows = Asked("POST", "/double", [("content-type", "application/json")], b"[[1, 2]]")
    for answer in stand.runner.run(stand.answers(rows)):
        assert (answer.status, answer.body) == (200, b"[[2,4]]")
