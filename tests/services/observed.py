"""A service to be watched: calls of one and of two runners, faults, lines of a log."""

import asyncio
import logging
import os
from typing import Any

import numpy as np
from starlette.types import ASGIApp, Receive, Scope, Send

import headway
from headway.io import JSON

_log = logging.getLogger("service")


class Doubler(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        if (rows < 0).any():
            raise ValueError("a row is negative")
        return rows * 2

    @headway.Runnable.method
    def slow(self, value: Any) -> Any:
        return value


class Halver(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def halve(self, rows: Any) -> Any:
        return rows / 2


doubler = headway.Runner(Doubler, name="doubler")
halver = headway.Runner(Halver, name="halver")
svc = headway.Service("observed", runners=[doubler, halver])


@svc.api(input=JSON(), output=JSON())
async def double(value: float) -> Any:
    """Return a number times two."""
    _log.info("doubling %s", value)
    result = await doubler.double.async_run(np.array([value]))
    _log.info("doubled %s", value)
    return result[0]


@svc.api(input=JSON(), output=JSON())
def double_sync(value: float) -> Any:
    _log.info("doubling %s in a thread", value)
    return doubler.double.run(np.array([value]))[0]


@svc.api(input=JSON(), output=JSON())
async def both(value: float) -> Any:
    rows = np.array([value])
    return [
        result[0]
        for result in await asyncio.gather(
            doubler.double.async_run(rows), halver.halve.async_run(rows)
        )
    ]


@svc.api(input=JSON(), output=JSON())
async def name(value: Any, ctx: headway.Context) -> str | None:
    return ctx.request_id


@svc.api(input=JSON(), output=JSON())
async def boom(value: Any) -> Any:
    await asyncio.sleep(0)
    raise RuntimeError("a bug")


@svc.api(input=JSON(), output=JSON())
async def wait(value: Any) -> None:
    await asyncio.Event().wait()


class Middleware:
    """Writes a line for each request that passes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _log.info("passing %s", scope["path"])
        await self.app(scope, receive, send)


if os.environ.get("MIDDLEWARE"):
    svc.add_asgi_middleware(Middleware)
