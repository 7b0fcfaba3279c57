"""How a service declares middleware and mounts."""

import subprocess
import sys
from typing import Any

import pytest
import starlette.middleware

from headway.errors import ConfigError, MissingExtraError
from headway.service.service import Middleware, Mount, ServiceDefinition


async def an_app(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an ASGI application."""


class AMiddleware:
    def __init__(self, app: Any, *args: Any, **options: Any) -> None: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


def test_middleware_keeps_order_and_options() -> None:
    service = ServiceDefinition("svc")
    service.add_asgi_middleware(AMiddleware, size=1)
    service.add_asgi_middleware(
        starlette.middleware.Middleware(AMiddleware, 2, a=3), b=4
    )
    assert service.middleware == [
        Middleware(AMiddleware, (), {"size": 1}),
        Middleware(AMiddleware, (2,), {"a": 3, "b": 4}),
    ]


@pytest.mark.parametrize("wrong", [None, 5, "abc", (AMiddleware, (), 5)])
def test_wrong_middleware_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="is not an ASGI middleware"):
        ServiceDefinition("svc").add_asgi_middleware(wrong)


@pytest.mark.parametrize(
    ("path", "kept"), [("/", "/"), ("", "/"), ("a", "/a"), ("/a/b/", "/a/b")]
)
def test_mount_paths_are_normalized(path: str, kept: str) -> None:
    service = ServiceDefinition("svc")
    service.mount_asgi_app(an_app, path, name="a")
    assert service.mounts == [Mount(an_app, kept, "a")]
    with pytest.raises(ConfigError, match="two mounts have the path"):
        service.mount_asgi_app(an_app, path)


def test_mount_needs_an_application_and_a_path() -> None:
    service = ServiceDefinition("svc")
    with pytest.raises(ConfigError, match="is not an ASGI application"):
        service.mount_asgi_app(Middleware(AMiddleware, (), {}))
    with pytest.raises(ConfigError, match="is not a WSGI application"):
        service.mount_wsgi_app(None)
    with pytest.raises(ConfigError, match="is not a plain path"):
        service.mount_asgi_app(an_app, "/{x}")


def test_wsgi_mount_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    service = ServiceDefinition("svc")
    service.mount_wsgi_app(an_app, "/w")
    assert service.mounts[0].path == "/w"
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(MissingExtraError, match=r"headway\[wsgi\]"):
        service.mount_wsgi_app(an_app, "/x")


def test_starlette_is_imported_only_for_mounts_and_middleware() -> None:
    code = (
        "import sys, headway.server.process, headway.server.asgi_app\n"
        "headway.asgi_app(headway.Service('svc'))\n"
        "sys.exit('starlette' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
