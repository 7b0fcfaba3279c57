"""Middleware around APIs and mounts: their order, and the lives of several mounts."""

from typing import Any

import pytest

from headway.errors import StartError
from headway.http.asgi.bridge import AsgiApp, Receive, Scope, Send
from headway.http.asgi.stack import AsgiStack, Lifespan
from headway.service.service import ServiceDefinition


class Named:
    """An application that answers with its name, and records its lifespan."""

    def __init__(self, name: str, log: list[str], *, fails: bool = False) -> None:
        self.name = name
        self.log = log
        self.fails = fails

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            kept = scope.get("state", {}).get("kept")
            self.log.append(f"{self.name} {scope.get('root_path')} {kept}")
            return
        await receive()
        if self.fails:
            failed = {"type": "lifespan.startup.failed", "message": "no database"}
            await send(failed)
            return
        self.log.append(f"{self.name} starts")
        scope["state"]["kept"] = self.name
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.log.append(f"{self.name} ends")
        await send({"type": "lifespan.shutdown.complete"})


class Layer:
    def __init__(self, app: AsgiApp, *args: Any, log: list[str]) -> None:
        self.app = app
        self.name = "".join(args)
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.log.append(self.name)
        await self.app(scope, receive, send)


def stack_of(svc: ServiceDefinition, log: list[str]) -> AsgiStack:
    return AsgiStack(
        middleware=svc.middleware,
        mounts=svc.mounts,
        apis=Named("apis", log),
        is_own=lambda path: path == "/a/own",
    )


async def ask(stack: AsgiStack, path: str, root: str = "") -> None:
    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "method": "GET", "path": root + path, "headers": []}
    await stack({**scope, "root_path": root}, receive, send)


async def test_requests_are_routed_to_apis_then_mounts() -> None:
    log: list[str] = []
    svc = ServiceDefinition("s")
    svc.mount_asgi_app(Named("ab", log), "/a/b")
    svc.mount_asgi_app(Named("a", log), "/a")
    svc.add_asgi_middleware(Layer, log=log)
    svc.add_asgi_middleware((Layer, ("in", "ner"), {"log": log}))
    stack = stack_of(svc, log)
    lifespan = Lifespan(stack, "stack")
    await lifespan.startup()
    for path in ("/a/b/c", "/a/c", "/a/own", "/ab", "/"):
        await ask(stack, path)
    await ask(stack, "/a/own", root="/ml")
    await ask(stack, "/a/c", root="/ml")
    await lifespan.shutdown()
    inner = [line for line in log if line not in ("", "inner")]
    assert inner == [
        "ab starts",
        "a starts",
        "ab /a/b ab",
        "a /a a",
        "apis  None",
        "apis  None",
        "apis  None",
        "apis /ml None",
        "a /ml/a a",
        "a ends",
        "ab ends",
    ]
    assert log[2:5] == ["", "inner", "ab /a/b ab"]


async def test_if_one_mount_cannot_start_the_others_are_shut_down() -> None:
    log: list[str] = []
    svc = ServiceDefinition("s")
    svc.mount_asgi_app(Named("first", log), "/first")
    svc.mount_asgi_app(Named("second", log, fails=True), "/second")
    svc.mount_asgi_app(Named("third", log), "/third")
    lifespan = Lifespan(stack_of(svc, log), "the stack")
    with pytest.raises(StartError) as caught:
        await lifespan.startup()
    assert caught.value.message == (
        "the stack cannot start: "
        "the application mounted at '/second' cannot start: no database"
    )
    assert log == ["first starts", "first ends"]
