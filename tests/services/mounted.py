"""A service with mounts and, if $MIDDLEWARE is set, middleware."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import headway
from headway.io import JSON


class Model(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        return rows * 2


runner = headway.Runner(Model, name="model")
svc = headway.Service("mounted", runners=[runner])


@svc.api(input=JSON(), output=JSON())
async def double(value: float) -> Any:
    return (await runner.double.async_run(np.array([value])))[0]


@svc.api(input=JSON(), output=JSON())
async def wait(value: Any) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        sys.stderr.write("the work was dropped\n")
        raise


@svc.api(input=JSON(), output=JSON(), route="/app/own")
async def own(value: Any) -> str:
    return "the service's"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"database": "open"}
    sys.stderr.write("the database is closed\n")


async def about(request: Request) -> Response:
    return JSONResponse(
        {
            "path": request.url.path,
            "root": request.scope["root_path"],
            "database": request.state.database,
            "body": (await request.body()).decode(),
            "doubled": float(await double(21)),
        }
    )


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            for number in range(3):
                yield b"%d" % number
            while "endless" in request.query_params:
                yield b"more"
                await asyncio.sleep(0.01)
        finally:
            sys.stderr.write("the stream has ended\n")

    return StreamingResponse(pieces(), media_type="text/plain")


async def fail(request: Request) -> Response:
    raise LookupError("a bug of the mounted application")


app = Starlette(
    routes=[
        Route("/about", about, methods=["GET", "POST"]),
        Route("/own", about, methods=["POST"]),
        Route("/stream", stream),
        Route("/fail", fail),
    ],
    lifespan=lifespan,
)
svc.mount_asgi_app(app, "/app/", name="app")


def wsgi(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = environ["wsgi.input"].read()
    return [environ["SCRIPT_NAME"].encode(), environ["PATH_INFO"].encode(), body]


svc.mount_wsgi_app(wsgi, "/wsgi")


class Stamp:
    """Adds a header; the middleware that is added first is outermost."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-stamp", self.name))
            await send(message)

        await self.app(scope, receive, stamped)


class Guard(BaseHTTPMiddleware):
    """Answers unauthorized requests by itself."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        if "x-intruder" in request.headers:
            return JSONResponse({"who": "are you"}, status_code=401)
        response: Response = await call_next(request)
        response.headers["x-guard"] = "passed"
        return response


if os.environ.get("MIDDLEWARE"):
    svc.add_asgi_middleware(Stamp, name="outer")
    svc.add_asgi_middleware(Middleware(Guard))
