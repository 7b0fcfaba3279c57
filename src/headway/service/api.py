"""One function that a service serves: its route, its descriptors, what it may take.

service registers it; http/openapi describes it; api/endpoint calls it.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from headway.errors import ConfigError
from headway.io.base import IODescriptor
from headway.service.derive import input_parameter, takes_context

__all__ = ["Api", "check_parameters", "docstring_of"]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CONTEXT_NAMES = ("ctx", "context")


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


def _is_plain(function: Callable[..., Any]) -> bool:
    """Tell functions, methods, partials and classes from objects with `__call__`."""
    return (
        inspect.isroutine(function)
        or isinstance(function, functools.partial | type)
        or hasattr(function, "__wrapped__")
    )


def docstring_of(function: Callable[..., Any]) -> str:
    """Return what a function says of itself, or nothing."""
    if isinstance(function, functools.partial):
        return docstring_of(function.func)
    described = function if _is_plain(function) else type(function).__call__
    return described.__doc__ or ""


def check_parameters(function: Callable[..., Any], name: str) -> None:
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
