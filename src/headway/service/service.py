"""The service that a user writes: a name, runners and API functions.

loader imports it; http/openapi describes it; api/endpoint calls its functions. Users'
services are of the sub-class `headway.Service`, which server/asgi_app adds, because
it is an ASGI application too and layers below must not import what builds that.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

import msgspec

from headway.errors import ConfigError, MissingExtraError
from headway.io.base import IODescriptor
from headway.service.api import Api, check_parameters
from headway.service.runner import Runner

_F = TypeVar("_F", bound=Callable[..., Any])
Hook = Callable[..., Awaitable[None] | None]
_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
# Paths are compared after percent-decoding; in OpenAPI, braces mean parameters.
_ROUTE = re.compile(r"/[^\s?#%{}\x00-\x1f\x7f]*")
_RESERVED = frozenset({"/", "/docs.json", "/livez", "/readyz", "/healthz", "/metrics"})


class Middleware(msgspec.Struct, frozen=True):
    """A factory that wraps an ASGI application in another one."""

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]


class Mount(msgspec.Struct, frozen=True):
    """An ASGI application at a path."""

    app: Any
    path: str
    """Begins with "/"; only "/" itself ends with it."""
    name: str | None


class ServiceDefinition:
    """A set of API functions and the runners that they call; see `headway.Service`."""

    def __init__(
        self,
        name: str,
        *,
        runners: Sequence[Runner] | None = None,
        models: Sequence[Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 63:
            raise ConfigError(
                f"service name {name!r}: use at most 63 letters, digits, '-', '_' and "
                "'.', with a letter or digit at both ends"
            )
        self.name = name
        self.runners = list(runners or ())
        self.models = list(models or ())
        self.apis: dict[str, Api] = {}
        self.startup_hooks: list[Hook] = []
        self.shutdown_hooks: list[Hook] = []
        self.middleware: list[Middleware] = []
        self.mounts: list[Mount] = []
        names = [runner.name for runner in self.runners]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise self._error(
                f"two runners are named {twice[0]!r}; rename one of them with "
                "`to_runner(name=...)`"
            )

    def __repr__(self) -> str:
        return f"Service(name={self.name!r}, apis={sorted(self.apis)})"

    @overload
    def api(
        self,
        function: _F,
        /,
        *,
        input: IODescriptor | None = None,
        output: IODescriptor | None = None,
        route: str | None = None,
        name: str | None = None,
        doc: str | None = None,
    ) -> _F: ...

    @overload
    def api(
        self,
        input: IODescriptor | None = None,
        output: IODescriptor | None = None,
        *,
        route: str | None = None,
        name: str | None = None,
        doc: str | None = None,
    ) -> Callable[[_F], _F]: ...

    def api(
        self,
        *given: Any,
        input: IODescriptor | None = None,  # noqa: A002 - the surface's name
        output: IODescriptor | None = None,
        route: str | None = None,
        name: str | None = None,
        doc: str | None = None,
    ) -> Any:
        """Serve a function; sync functions run in a thread pool.

        Args:
            given: The function, when used without parentheses, or input and output.
            input: Descriptor of the body; derived from the type hint if None.
            output: Descriptor of the result; derived from the type hint if None.
            route: Path; "/" + name if None.
            name: Operation ID; the function's name if None.
            doc: Documentation; the function's docstring if None.

        Returns:
            The function itself, or a decorator that returns it.

        Raises:
            ConfigError: If the name or route is taken or malformed, the function
                needs more than an input and a context, a type hint is not supported,
                or a descriptor is invalid or given twice.
        """
        is_bare = len(given) == 1 and not isinstance(given[0], IODescriptor | None)
        pair = self._descriptors(() if is_bare else given, [input, output])

        def register(function: _F) -> _F:
            api_name = self._free_name(function, name)
            check_parameters(function, api_name)
            self.apis[api_name] = Api(
                name=api_name,
                route=self._free_route(api_name if route is None else route, api_name),
                function=function,
                input=pair[0],
                output=pair[1],
                doc=doc,
            )
            return function

        return register(given[0]) if is_bare else register

    def _error(self, reason: str) -> ConfigError:
        return ConfigError(f"service {self.name!r}: {reason}")

    def _descriptors(
        self, given: Sequence[Any], pair: list[Any]
    ) -> list[IODescriptor | None]:
        """Return input and output, given by position or by name."""
        for place, descriptor in enumerate(given):
            if place > 1 or (descriptor is not None and pair[place] is not None):
                raise self._error(
                    "an API has one input and one output, as in "
                    "`@svc.api(input=JSON(), output=JSON())`, but one is given twice"
                )
            pair[place] = pair[place] if descriptor is None else descriptor
        for descriptor in pair:
            if not isinstance(descriptor, IODescriptor | None):
                raise self._error(
                    f"{descriptor!r} is not an IO descriptor; create one, as in "
                    "`@svc.api(input=JSON(), output=JSON())`"
                )
        return pair

    def _free_name(self, function: Callable[..., Any], name: str | None) -> str:
        if not callable(function):
            raise self._error(
                f"{function!r} is not a function; give descriptors as in "
                "`@svc.api(input=JSON(), output=JSON())`"
            )
        name = name or getattr(function, "__name__", None)
        if name is None:
            raise self._error(
                f"{function!r} has no name; give the API one with `name=`"
            )
        if not name.isidentifier():
            raise self._error(
                f"API name {name!r} is not an identifier; choose one with `name=`"
            )
        if name in self.apis:
            raise self._error(f"two APIs are named {name!r}")
        return name

    def _free_route(self, route: str, name: str) -> str:
        route = route if route.startswith("/") else "/" + route
        where = f"API {name!r}: the route {route!r}"
        self._check_path(route, where)
        if route in _RESERVED or route.startswith("/-/"):
            raise self._error(
                f"{where} is reserved for Headway; choose another with `route=`"
            )
        if any(api.route == route for api in self.apis.values()):
            raise self._error(f"two APIs have the route {route!r}")
        return route

    def _check_path(self, path: str, where: str) -> None:
        if not _ROUTE.fullmatch(path):
            raise self._error(
                f"{where} is not a plain path: remove spaces and any of ?#%{{}}"
            )

    def on_startup(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker before it serves requests."""
        self.startup_hooks.append(hook)
        return hook

    def on_shutdown(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker after its last response."""
        self.shutdown_hooks.append(hook)
        return hook

    def add_asgi_middleware(self, middleware: Any, **options: Any) -> None:
        """Pass all requests through a middleware; the first one added runs first.

        Args:
            middleware: A class, called with the next application and the options; or
                a class with its options, such as starlette's `Middleware`.
            options: For the class.

        Raises:
            ConfigError: If it is neither.
        """
        args: tuple[Any, ...] = ()
        if not callable(middleware):
            try:
                middleware, args, own = middleware
            except (TypeError, ValueError):
                own = None
            if not callable(middleware) or not isinstance(own, dict):
                raise self._error(
                    f"{middleware!r} is not an ASGI middleware; give its class, as in "
                    "`svc.add_asgi_middleware(GZipMiddleware, minimum_size=1000)`"
                )
            options = {**own, **options}
        self.middleware.append(Middleware(middleware, args, options))

    def mount_asgi_app(
        self, app: Any, path: str = "/", name: str | None = None
    ) -> None:
        """Serve an ASGI application below a path, except where the service has an API.

        Args:
            app: The application.
            path: If two mounts match a request, the first one added gets it.
            name: For starlette's `url_path_for`.

        Raises:
            ConfigError: If it is not an application, or the path is malformed or taken.
        """
        path = "/" + path.strip("/")
        if not callable(app):
            raise self._error(
                f"{app!r}, mounted at {path!r}, is not an ASGI application"
            )
        self._check_path(path, f"the mount's path {path!r}")
        if any(mount.path == path for mount in self.mounts):
            raise self._error(f"two mounts have the path {path!r}")
        self.mounts.append(Mount(app, path, name))

    def mount_wsgi_app(
        self, app: Any, path: str = "/", name: str | None = None
    ) -> None:
        """Serve a WSGI application, such as Flask's or Django's, in its own threads.

        Args:
            app: The application.
            path: As for `mount_asgi_app`.
            name: As for `mount_asgi_app`.

        Raises:
            ConfigError: If it is not an application, or the path is malformed or taken.
            MissingExtraError: If a2wsgi is not installed.
        """
        if not callable(app):
            raise self._error(f"{app!r} is not a WSGI application")
        try:
            from a2wsgi import WSGIMiddleware
        except ImportError as error:
            raise MissingExtraError(
                "mount_wsgi_app needs a2wsgi: pip install 'headway[wsgi]'"
            ) from error
        self.mount_asgi_app(WSGIMiddleware(app), path, name)
