"""An ASGI application's start-up and shutdown, and what goes wrong with them."""

import asyncio
import contextlib
import logging

import pytest

from headway.errors import StartError
from headway.http.asgi import stack
from headway.http.asgi.bridge import Receive, Scope, Send
from headway.http.asgi.stack import Lifespan


async def well_behaved(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"]["kept"] = 1
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    scope["state"]["ended"] = True
    await send({"type": "lifespan.shutdown.complete"})


async def test_startup_and_shutdown() -> None:
    lifespan = Lifespan(well_behaved, "it")
    await lifespan.startup()
    assert lifespan.state == {"kept": 1}
    await lifespan.shutdown(5)
    assert lifespan.state["ended"]
    await lifespan.aclose()


async def http_only(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise LookupError(scope["type"])


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing."""


@pytest.mark.parametrize("app", [http_only, returning])
async def test_an_application_without_lifespan_is_served(
    app: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headway.http.asgi.stack")
    lifespan = Lifespan(app, "it")  # type: ignore[arg-type]
    await lifespan.startup()
    assert "it has no start-up of its own" in caplog.text
    await lifespan.shutdown()


async def test_shutdown_without_startup_does_nothing() -> None:
    lifespan = Lifespan(well_behaved, "it")
    await lifespan.shutdown(5)
    assert lifespan.state == {}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Traceback:\n  line\nLookupError: no database\n", "LookupError: no database"),
        ("", "it does not say why"),
    ],
)
async def test_a_failed_startup(message: str, reason: str) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": message})
        raise LookupError

    lifespan = Lifespan(failing, "it")
    with pytest.raises(StartError) as caught:
        await lifespan.startup()
    assert caught.value.message == f"it cannot start: {reason}"
    await lifespan.shutdown()


async def test_a_cancelled_startup_leaves_no_task() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    starting = asyncio.ensure_future(Lifespan(slow, "it").startup())
    await began.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended.is_set()


async def started(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()


async def ending_badly(scope: Scope, receive: Receive, send: Send) -> None:
    await started(scope, receive, send)
    await send({"type": "lifespan.shutdown.failed", "message": "no disk"})


async def raising_at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await started(scope, receive, send)
    raise LookupError("no disk")


async def hanging_at_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await started(scope, receive, send)
    await receive()


@pytest.mark.parametrize(
    ("app", "timeout_s", "text"),
    [
        (ending_badly, 10, "it has failed to end: no disk"),
        (raising_at_the_end, 10, "it: its lifespan raised"),
        (hanging_at_the_end, 0.01, "it has not ended within 0.01 s"),
    ],
)
async def test_a_failed_shutdown_is_logged(
    app: object, timeout_s: float, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    lifespan = Lifespan(app, "it")  # type: ignore[arg-type]
    await lifespan.startup()
    await lifespan.shutdown(timeout_s)
    assert text in caplog.text


async def test_an_application_that_ignores_cancellation_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        ended.set()

    monkeypatch.setattr(stack, "_DROP_S", 0.01)
    lifespan = Lifespan(stubborn, "it")
    await lifespan.startup()
    async with asyncio.timeout(10):
        await lifespan.shutdown(0.01)
    assert "it ignores its cancellation" in caplog.text
    released.set()
    await ended.wait()
