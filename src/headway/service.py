"""The service that a user writes: a name, runners and API functions.

loader imports it; http/openapi describes it; api/handler calls its functions.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from headway.context import Context
from headway.errors import ConfigError
from headway.io.base import IODescriptor
from headway.io.derive import derive_input, derive_output
from headway.runner_handle import Runner

__all__ = ["Api", "Service"]

_F = TypeVar("_F", bound=Callable[..., Any])
Hook = Callable[..., Awaitable[None] | None]
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
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
        self.is_async = inspect.iscoroutinefunction(function)
        parameters = _positional_parameters(function, name)
        self.takes_context = bool(parameters) and _is_context(parameters[-1])
        self.takes_input = len(parameters) - self.takes_context == 1


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

    def api(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        input: IODescriptor | None = None,  # noqa: A002 - the surface's name
        output: IODescriptor | None = None,
        route: str | None = None,
        name: str | None = None,
        doc: str | None = None,
    ) -> Any:
        """Serve a function; sync ones run in a thread pool.

        Args:
            function: The function, when used without parentheses.
            input: Descriptor of the body; derived from the type hint if None.
            output: Descriptor of the result; derived from the type hint if None.
            route: Path; "/" + name if None.
            name: Operation id; the function's name if None.
            doc: Documentation; the function's docstring if None.

        Returns:
            The function itself, or a decorator that returns it.

        Raises:
            ConfigError: If the name or route is taken or malformed, the function
                takes more than an input and a context, or a type hint is needed.
        """

        def register(function: _F) -> _F:
            self._register(function, input, output, route, name, doc)
            return function

        return register if function is None else register(function)

    def _register(
        self,
        function: Callable[..., Any],
        input: IODescriptor | None,  # noqa: A002 - the surface's name
        output: IODescriptor | None,
        route: str | None,
        name: str | None,
        doc: str | None,
    ) -> None:
        name = name or function.__name__
        route = route if route is not None else name
        route = route if route.startswith("/") else "/" + route
        if name in self.apis:
            raise ConfigError(f"service {self.name!r}: two APIs are called {name!r}")
        if not name.isidentifier():
            raise ConfigError(
                f"service {self.name!r}: API name {name!r} is not an identifier"
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
        self.apis[name] = Api(
            name=name,
            route=route,
            function=function,
            input=input if input is not None else derive_input(function),
            output=output if output is not None else derive_output(function),
            doc=inspect.cleandoc(doc or function.__doc__ or ""),
        )

    def on_startup(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker before it serves."""
        self.startup_hooks.append(hook)
        return hook

    def on_shutdown(self, hook: Hook) -> Hook:
        """Run `hook` in each API worker after its last answer."""
        self.shutdown_hooks.append(hook)
        return hook


def _is_context(parameter: inspect.Parameter) -> bool:
    return parameter.annotation is Context or (
        parameter.annotation in (inspect.Parameter.empty, "Context", "headway.Context")
        and parameter.name in ("ctx", "context")
    )


def _positional_parameters(
    function: Callable[..., Any], name: str
) -> list[inspect.Parameter]:
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in _POSITIONAL and parameter.default is parameter.empty
    ]
    inputs = len(parameters) - (bool(parameters) and _is_context(parameters[-1]))
    if inputs > 1:
        raise ConfigError(
            f"API {name!r} takes {inputs} arguments; an API function takes one input "
            "and, if it wants, a context (`ctx`): put several values in one model"
        )
    return parameters
