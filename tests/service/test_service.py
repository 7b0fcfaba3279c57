"""Services: kinds of API functions, contexts, descriptors, routes and hooks."""

import asyncio
import functools
import gc
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Optional

import numpy as np
import pytest

import headway
from headway.api.admission import DeadlineWatch
from headway.api.endpoint import Endpoint
from headway.api.thread_pool import ThreadPool
from headway.core.clock import MonotonicClock
from headway.errors import ConfigError
from headway.http.head import Head
from headway.http.request import Request
from headway.io import JSON, NumpyNdarray, Text
from headway.io.base import Nothing
from headway.metrics import MetricsRegistry
from headway.metrics.families import REFUSED
from headway.metrics.meters import EndpointMeters
from headway.service.api import Api
from headway.service.context import Context
from headway.service.service import ServiceDefinition


def register(function: Callable[..., Any], **options: Any) -> Api:
    service = ServiceDefinition("svc")
    assert service.api(function, **options) is function
    (api,) = service.apis.values()
    return api


class Caught:
    """Receives the response to a request."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[tuple[int, bytes]] = (
            asyncio.get_running_loop().create_future()
        )

    def send_response(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Any,
    ) -> None:
        self.answered.set_result((status, body))


async def call(api: Api, body: bytes = b"7") -> tuple[int, bytes]:
    """Send a request to the API and return its status and body."""
    loop = asyncio.get_running_loop()
    clock = MonotonicClock()
    registry = MetricsRegistry(None)
    registry.start()
    pool = ThreadPool(threads=2, refused=registry.counter(REFUSED, ("threads",)))
    endpoint = Endpoint(
        api=api,
        timeout_s=10.0,
        limit=None,
        watch=DeadlineWatch(clock=clock, loop=loop),
        pool=pool,
        meters=EndpointMeters(registry=registry, endpoint=api.route, loop=loop),
        state={"greeting": "hello"},
    )
    caught = Caught()
    headers = ((b"content-type", b"application/json"),)
    request = Request(
        responder=caught,
        head=Head(
            method="POST",
            path=api.route,
            query="",
            headers=headers,
            fields=dict(headers),
            length=len(body),
            is_http_11=True,
            keep_alive=True,
            plain=True,
            expects_continue=False,
        ),
        method="POST",
        path=api.route,
        body=body,
        received_at=clock.now(),
    )
    endpoint.handle(request)
    try:
        return await caught.answered
    finally:
        pool.close()


def with_default(value: Any = "nothing") -> Any:
    return [value]


def with_text_default(value: str = "a") -> str:
    return value + "!"


def nothing() -> str:
    return "done"


def plain_context(value: Any, ctx: Any) -> Any:
    return [value, ctx.state["greeting"]]


def default_context(value: Any, ctx: Any = None) -> Any:
    return [value, ctx.state["greeting"]]


def string_context(value: Any, request: "Context") -> Any:
    return [value, request.state["greeting"]]


def qualified_context(value: Any, request: "headway.Context") -> Any:
    return [value, request.state["greeting"]]


def optional_context(
    value: Any,
    request: Optional[Context] = None,  # noqa: UP045 - a spelling that users have
) -> Any:
    assert request is not None
    return [value, request.state["greeting"]]


def context_alone(ctx: Context) -> Any:
    return [ctx.state["greeting"]]


def spare_default(value: Any, factor: int = 3) -> Any:
    return [value, factor]


@pytest.mark.parametrize(
    ("function", "body", "answer"),
    [
        (with_default, b"7", b"[7]"),
        (with_text_default, b"b", b"b!"),
        (nothing, b"ignored", b"done"),
        (plain_context, b"7", b'[7,"hello"]'),
        (default_context, b"7", b'[7,"hello"]'),
        (string_context, b"7", b'[7,"hello"]'),
        (qualified_context, b"7", b'[7,"hello"]'),
        (optional_context, b"7", b'[7,"hello"]'),
        (context_alone, b"7", b'["hello"]'),
        (spare_default, b"7", b"[7,3]"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_function_gets_its_input_and_context(
    function: Callable[..., Any], body: bytes, answer: bytes
) -> None:
    input_ = Text() if function is with_text_default else None
    assert await call(register(function, input=input_), body) == (200, answer)


async def add_later(value: int, ctx: Any = None) -> int:
    """Add one."""
    await asyncio.sleep(0)
    return value + 1


class AsyncObject:
    async def __call__(self, value: int) -> int:
        """Add one."""
        await asyncio.sleep(0)
        return value + 1


class SyncObject:
    def __call__(self, value: int) -> int:
        """Add one."""
        assert threading.current_thread() is not threading.main_thread()
        return value + 1


class Owner:
    async def method(self, value: int) -> int:
        """Add one."""
        return value + 1


def unwrapped_decorator(function: Callable[[int], Any]) -> Callable[[int], Any]:
    def call(value: int) -> Any:
        return function(value)

    return call


def wrapping_decorator(function: Callable[[int], Any]) -> Callable[[int], Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def add_with(step: int, value: int) -> int:
    """Add a step."""
    return value + step


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (add_later, True),
        (functools.partial(add_later), True),
        (AsyncObject(), True),
        (SyncObject(), False),
        (Owner().method, True),
        (functools.partial(add_with, 1), False),
        (unwrapped_decorator(add_later), False),
        (wrapping_decorator(add_later), False),
    ],
    ids=[
        *("async", "partial of async", "async object", "sync object", "bound method"),
        *("partial", "sync wrapper of async", "functools.wraps of async"),
    ],
)
async def test_all_kinds_of_callables_are_served(
    function: Callable[..., Any], is_async: bool
) -> None:
    api = register(function, name="add", input=JSON(), output=JSON())
    assert api.is_async is is_async
    assert await call(api) == (200, b"8")


def test_documentation_is_the_functions_docstring() -> None:
    assert register(add_later).doc == "Add one."
    assert register(AsyncObject(), name="add").doc == "Add one."
    assert register(functools.partial(add_with, 1), name="add").doc == "Add a step."
    assert register(nothing).doc == ""
    assert register(add_later, doc="  Other.\n").doc == "Other."


def test_descriptors_are_given_by_position_or_by_name() -> None:
    service = ServiceDefinition("svc")
    text, numbers = Text(), NumpyNdarray()

    @service.api(text, numbers, route="/v1/both")
    def both(value: Any) -> Any:
        return value

    @service.api(text)
    def only_input(value: Any) -> Any:
        return value

    @service.api(text, output=numbers)
    def mixed(value: Any) -> Any:
        return value

    @service.api(None, numbers)
    def derived(value: str) -> Any:
        return value

    apis = service.apis
    assert (apis["both"].input, apis["both"].output) == (text, numbers)
    assert apis["both"].route == "/v1/both"
    assert apis["only_input"].input is text
    assert isinstance(apis["only_input"].output, JSON)
    assert (apis["mixed"].input, apis["mixed"].output) == (text, numbers)
    assert isinstance(apis["derived"].input, Text)
    assert apis["derived"].output is numbers


async def test_missing_await_is_named_in_the_error() -> None:
    async def infer(value: Any) -> Any:
        return value

    for output in (JSON(), NumpyNdarray(), NumpyNdarray(dtype="float64"), Text()):

        async def predict(value: Any) -> Any:
            return infer(value)  # the mistake itself

        status, body = await call(register(predict, input=JSON(), output=output))
        assert status == 500
        error = json.loads(body)["error"]
        assert error["code"] == "bad_output"
        assert "'predict' returned a coroutine" in error["message"]
        assert "infer" in error["message"]
        assert "`await` missing" in error["message"]
        assert "ndarray" not in error["message"]
    # No RuntimeWarning for the coroutine: it would fail the test.
    gc.collect()


@pytest.mark.parametrize(
    ("route", "becomes"),
    [(None, "/nothing"), ("v1/predict", "/v1/predict"), ("/größe", "/größe")],
)
def test_route_gets_a_leading_slash(route: str | None, becomes: str) -> None:
    assert register(nothing, route=route).route == becomes


def test_duplicate_names_and_routes_are_refused() -> None:
    service = ServiceDefinition("svc")
    service.api(nothing)
    with pytest.raises(ConfigError, match="two APIs are named 'nothing'"):
        service.api(nothing, route="/other")
    with pytest.raises(ConfigError, match="two APIs have the route '/nothing'"):
        service.api(nothing, name="other", route="nothing")
    assert repr(service) == "Service(name='svc', apis=['nothing'])"


def test_decorator_keeps_the_functions_type() -> None:
    service = ServiceDefinition("svc")

    @service.api
    def first(value: int) -> int:
        return value + 1

    @service.api(output=JSON(), route="/v1/second")
    async def second(value: np.ndarray) -> float:
        return float(value.sum())

    # These lines are what mypy checks: without overloads, both would be Any.
    one: int = first(1)
    two: Awaitable[float] = second(np.ones(2))
    assert one == 2
    assert asyncio.run(as_coroutine(two)) == 2.0
    assert isinstance(service.apis["first"].input, JSON)
    assert isinstance(service.apis["second"].input, NumpyNdarray)


async def as_coroutine(value: Awaitable[float]) -> float:
    return await value


def test_missing_descriptors_are_derived_from_type_hints() -> None:
    assert isinstance(register(nothing).input, Nothing)
    assert isinstance(register(nothing).output, Text)
    assert isinstance(register(with_default).input, JSON)


def test_hooks_are_kept_in_order() -> None:
    service = ServiceDefinition("svc")

    @service.on_startup
    async def load(ctx: Any) -> None: ...

    @service.on_shutdown
    def leave(ctx: Any) -> None: ...

    assert service.startup_hooks == [load]
    assert service.shutdown_hooks == [leave]


async def test_sync_functions_run_concurrently() -> None:
    meeting = threading.Barrier(4, timeout=10)

    def meet(value: int) -> int:
        meeting.wait()  # fails unless all four are in here at once
        return value

    api = register(meet)
    answers = await asyncio.gather(*(call(api) for _ in range(4)))
    assert answers == [(200, b"7")] * 4
