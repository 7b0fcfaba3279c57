"""The service that a user writes: a name, runners and API functions.

loader imports it; http/openapi describes it; api/handler calls its functions.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

from headway.errors import ConfigError
from headway.io.base import IODescriptor
from headway.io.derive import (
    derive_input,
    derive_output,
    input_parameter,
    takes_context,
)
from headway.runner_handle import Runner

__all__ = ["Api", "Service"]

_F = TypeVar("_F", bound=Callable[..., Any])
Hook = Callable[..., Awaitable[None] | None]
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CONTEXT_NAMES = ("ctx", "context")
_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
# A path is compared percent-decoded; braces would be parameters to OpenAPI.
_ROUTE = re.compile(r"/[^\s?#%{}\x00-\x1f\x7f]*")
_RESERVED = frozenset({"/", "/docs.json", "/livez", "/readyz", "/healthz", "/metrics"})


class Api:
    """One API function with its route and descriptors.

    Args:
        name: Operation id, unique within the service.
        route: Path, beginning with "/".
        function: What the user wrote.
        input: Makes the argument from the body.
        output: Makes the body from the result.
        doc: Markdown for the API's documentation.
    """

    __slots__ = (
        "doc",
        "function",
        "input",
        "is_async",
        "name",
        "output",
        "route",
        "takes_context",
        "takes_input",
    )

    def __init__(
        self,
        *,
        name: str,
        route: str,
        function: Callable[..., Any],
        input: IODescriptor,  # noqa: A002 - the surface's name
        output: IODescriptor,
        doc: str,
    ) -> None:
        self.name = name
        self.route = route
        self.function = function
        self.input = input
        self.output = output
        self.doc = doc
        self.is_async = inspect.iscoroutinefunction(
            function if _is_plain(function) else type(function).__call__
        )
        self.takes_context = takes_context(function)
        self.takes_input = input_parameter(function) is not None


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
        _check_parameters(function, name)
        route = self._free_route(name if route is None else route, name)
        self.apis[name] = Api(
            name=name,
            route=route,
            function=function,
            input=input if input is not None else derive_input(function),
            output=output if output is not None else derive_output(function),
            doc=inspect.cleandoc(doc or _docstring(function)),
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


def _is_plain(function: Callable[..., Any]) -> bool:
    """Tell functions, methods, partials and classes from objects with `__call__`."""
    return (
        inspect.isroutine(function)
        or isinstance(function, functools.partial | type)
        or hasattr(function, "__wrapped__")
    )


def _docstring(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _docstring(function.func)
    described = function if _is_plain(function) else type(function).__call__
    return described.__doc__ or ""


def _check_parameters(function: Callable[..., Any], name: str) -> None:
    """Refuse functions that need more than one input and a context.

    Raises:
        ConfigError: If the function could not be called with just these.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"API {name!r}: what {function!r} takes cannot be found out: {error}; "
            "wrap it in a function of your own"
        ) from error
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and (
            parameter.default is parameter.empty or parameter.name in _CONTEXT_NAMES
        ):
            raise ConfigError(
                f"API {name!r}: the parameter {parameter.name!r} is keyword-only; an "
                "API function is called with its input and a context by position: "
                "leave out the `*` before it"
            )
    inputs = [
        parameter
        for parameter in parameters
        if parameter.kind not in _VARIADIC and parameter.kind != parameter.KEYWORD_ONLY
    ]
    if takes_context(function):
        # What stands between the input and the context would get the context.
        count = len(inputs) - 1
    else:
        count = sum(
            parameter.default is parameter.empty for parameter in inputs[1:]
        ) + bool(inputs)
    if count > 1:
        raise ConfigError(
            f"API {name!r} takes {count} arguments; an API function takes one input "
            "and, if it wants, a context (`ctx`): put several values in one model"
        )
    if not inputs and any(parameter.kind in _VARIADIC for parameter in parameters):
        raise ConfigError(
            f"API {name!r} names no parameter, only `*args` or `**kwargs`: name its "
            "input; a decorator keeps the names with functools.wraps"
        )
