"""The service that a user writes: a name, runners and API functions.

loader imports it; http/openapi describes it; api/endpoint calls its functions.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

import msgspec

from headway.errors import ConfigError, MissingExtraError
from headway.io.base import IODescriptor
from headway.service.api import Api, check_parameters, docstring_of
from headway.service.derive import derive_input, derive_output
from headway.service.runner import Runner

__all__ = ["Api", "Middleware", "Mount", "Service"]

_F = TypeVar("_F", bound=Callable[..., Any])
Hook = Callable[..., Awaitable[None] | None]
_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
# A path is compared percent-decoded; braces would be parameters to OpenAPI.
_ROUTE = re.compile(r"/[^\s?#%{}\x00-\x1f\x7f]*")
_RESERVED = frozenset({"/", "/docs.json", "/livez", "/readyz", "/healthz", "/metrics"})


class Middleware(msgspec.Struct, frozen=True):
    """What is called with the next ASGI application to make the one around it."""

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]


class Mount(msgspec.Struct, frozen=True):
    """An ASGI application below a path."""

    app: Any
    path: str
    """Begins with "/" and does not end with it, but for "/" itself."""
    name: str | None


class Service:
    """A set of API functions and the runners that they await.

    Args:
        name: Shown in the documentation and the logs.
        runners: Each is served by processes of its own.
        models: Saved models that API functions use without a runner, for listing.

    Raises:
        ConfigError: If the name is malformed or two runners share a name.
    """

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
                "'.', beginning and ending with a letter or digit"
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
            raise ConfigError(
                f"service {name!r}: two runners are called {twice[0]!r}; give one of "
                "them another name with `to_runner(name=...)`"
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
        *,
        input: IODescriptor | None = None,
        output: IODescriptor | None = None,
        route: str | None = None,
        name: str | None = None,
        doc: str | None = None,
    ) -> Callable[[_F], _F]: ...

    @overload
    def api(
        self,
        input: IODescriptor | None,
        /,
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
        """Serve a function; sync ones run in a thread pool.

        Args:
            given: The function, when used without parentheses, or input and output.
            input: Descriptor of the body; derived from the type hint if None.
            output: Descriptor of the result; derived from the type hint if None.
            route: Path; "/" + name if None.
            name: Operation id; the function's name if None.
            doc: Documentation; the function's docstring if None.

        Returns:
            The function itself, or a decorator that returns it.

        Raises:
            ConfigError: If the name or route is taken or malformed, the function
                needs more than an input and a context, a type hint cannot be served,
                or a descriptor is none or given twice.
        """
        is_bare = len(given) == 1 and not isinstance(given[0], IODescriptor | None)
        descriptors = self._descriptors(() if is_bare else given, input, output)

        def register(function: _F) -> _F:
            self._register(function, *descriptors, route, name, doc)
            return function

        return register(given[0]) if is_bare else register

    def _descriptors(
        self,
        given: Sequence[Any],
        input: Any,  # noqa: A002 - the surface's name
        output: Any,
    ) -> tuple[IODescriptor | None, IODescriptor | None]:
        """Return input and output, given by position or by name."""
        pair = [input, output]
        for place, descriptor in enumerate(given):
            if place > 1 or (descriptor is not None and pair[place] is not None):
                raise ConfigError(
                    f"service {self.name!r}: an API has one input and one output, as "
                    "in `@svc.api(input=JSON(), output=JSON())`; here one is given "
                    "twice"
                )
            pair[place] = pair[place] if descriptor is None else descriptor
        for descriptor in pair:
            if not isinstance(descriptor, IODescriptor | None):
                raise ConfigError(
                    f"service {self.name!r}: {descriptor!r} is no descriptor; make "
                    "one, as in `@svc.api(input=JSON(), output=JSON())`"
                )
        return pair[0], pair[1]

    def _register(
        self,
        function: Callable[..., Any],
        input: IODescriptor | None,  # noqa: A002 - the surface's name
        output: IODescriptor | None,
        route: str | None,
        name: str | None,
        doc: str | None,
    ) -> None:
        name = self._free_name(function, name)
        check_parameters(function, name)
        route = self._free_route(name if route is None else route, name)
        self.apis[name] = Api(
            name=name,
            route=route,
            function=function,
            input=input if input is not None else derive_input(function),
            output=output if output is not None else derive_output(function),
            doc=inspect.cleandoc(doc or docstring_of(function)),
        )

    def _free_name(self, function: Callable[..., Any], name: str | None) -> str:
        """Return the API's name; refuse what is no function, or has no fit name."""
        if not callable(function):
            raise ConfigError(
                f"service {self.name!r}: {function!r} is no function; descriptors are "
                "given as in `@svc.api(input=JSON(), output=JSON())`"
            )
        name = name or getattr(function, "__name__", None)
        if name is None:
            raise ConfigError(
                f"service {self.name!r}: {function!r} has no name of its own; give "
                "the API one with `name=`"
            )
        if not name.isidentifier():
            raise ConfigError(
                f"service {self.name!r}: API name {name!r} is not an identifier; "
                "choose one with `name=`"
            )
        if name in self.apis:
            raise ConfigError(f"service {self.name!r}: two APIs are called {name!r}")
        return name

    def _free_route(self, route: str, name: str) -> str:
        """Return the API's route, which begins with a slash and is nobody else's."""
        route = route if route.startswith("/") else "/" + route
        if not _ROUTE.fullmatch(route):
            raise ConfigError(
                f"service {self.name!r}, API {name!r}: the route {route!r} is no plain "
                "path: leave out spaces, '?', '#', '%', '{' and '}'"
            )
        if route in _RESERVED or route.startswith("/-/"):
            raise ConfigError(
                f"service {self.name!r}, API {name!r}: the route {route!r} is "
                "Headway's own; choose another with `route=`"
            )
        if any(api.route == route for api in self.apis.values()):
            raise ConfigError(
                f"service {self.name!r}: two APIs have the route {route!r}"
            )
        return route

    def on_startup(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker before it serves."""
        self.startup_hooks.append(hook)
        return hook

    def on_shutdown(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker after its last answer."""
        self.shutdown_hooks.append(hook)
        return hook

    def add_asgi_middleware(self, middleware: Any, **options: Any) -> None:
        """Pass all requests through a middleware; the first added sees them first.

        Args:
            middleware: A class, called with the next application and the options; or
                such a class with its options, as starlette's `Middleware` has them.
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
                raise ConfigError(
                    f"service {self.name!r}: {middleware!r} is no ASGI middleware; "
                    "give its class, as in "
                    "`svc.add_asgi_middleware(GZipMiddleware, minimum_size=1000)`"
                )
            options = {**own, **options}
        self.middleware.append(Middleware(middleware, args, options))

    def mount_asgi_app(
        self, app: Any, path: str = "/", name: str | None = None
    ) -> None:
        """Serve an ASGI application below a path, where the service has no API or page.

        Args:
            app: The application.
            path: Of two mounts that fit a request, the first added gets it.
            name: For starlette's `url_path_for`.

        Raises:
            ConfigError: If it is no application, or the path malformed or taken.
        """
        path = "/" + path.strip("/")
        if not callable(app):
            raise ConfigError(
                f"service {self.name!r}: {app!r}, to be mounted at {path!r}, is no "
                "ASGI application"
            )
        if not _ROUTE.fullmatch(path):
            raise ConfigError(
                f"service {self.name!r}: the mount's path {path!r} is no plain path: "
                "leave out spaces, '?', '#', '%', '{' and '}'"
            )
        if any(mount.path == path for mount in self.mounts):
            raise ConfigError(
                f"service {self.name!r}: two mounts have the path {path!r}"
            )
        self.mounts.append(Mount(app, path, name))

    def mount_wsgi_app(
        self, app: Any, path: str = "/", name: str | None = None
    ) -> None:
        """Serve a WSGI application below a path, in threads of its own.

        Args:
            app: The application, as of Flask or Django.
            path: As for `mount_asgi_app`.
            name: As for `mount_asgi_app`.

        Raises:
            ConfigError: If it is no application, or the path malformed or taken.
            MissingExtraError: If a2wsgi is not installed.
        """
        if not callable(app):
            raise ConfigError(f"service {self.name!r}: {app!r} is no WSGI application")
        try:
            from a2wsgi import WSGIMiddleware
        except ImportError as error:
            raise MissingExtraError(
                "mount_wsgi_app needs a2wsgi: pip install 'headway[wsgi]'"
            ) from error
        self.mount_asgi_app(WSGIMiddleware(app), path, name)
