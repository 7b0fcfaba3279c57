"""One API function: its route, its parameters, its descriptors from type hints.

service registers it; http/openapi describes it; api/endpoint calls it.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from headway.errors import ConfigError
from headway.io.base import IODescriptor, Nothing
from headway.io.json import JSON
from headway.io.numpy import NumpyNdarray
from headway.io.text import Text
from headway.service.context import Context

Function = Callable[..., Any]
_CONTEXT_NAMES = ("ctx", "context")
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


class Api:
    """One API function with its route and descriptors.

    Args:
        name: Operation ID, unique within the service.
        route: Path, beginning with "/".
        function: The user's function.
        input: Decodes the argument; derived from the parameter's type hint if None.
        output: Encodes the result; derived from the return type hint if None.
        doc: Markdown for the documentation; the function's docstring if None.

    Raises:
        ConfigError: If a type hint is not supported.
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
        function: Function,
        input: IODescriptor | None,  # noqa: A002 - the surface's name
        output: IODescriptor | None,
        doc: str | None,
    ) -> None:
        self.name = name
        self.route = route
        self.function = function
        self.input = derive_input(function) if input is None else input
        self.output = derive_output(function) if output is None else output
        self.doc = inspect.cleandoc(doc or _docstring(function))
        self.is_async = inspect.iscoroutinefunction(
            function if _is_plain(function) else type(function).__call__
        )
        parameter, self.takes_context = parameters_of(function)
        self.takes_input = parameter is not None


def _is_plain(function: Function) -> bool:
    """Return False for objects with `__call__`, True for other callables."""
    return (
        inspect.isroutine(function)
        or isinstance(function, functools.partial | type)
        or hasattr(function, "__wrapped__")
    )


def _docstring(function: Function) -> str:
    if isinstance(function, functools.partial):
        return _docstring(function.func)
    described = function if _is_plain(function) else type(function).__call__
    return described.__doc__ or ""


def check_parameters(function: Function, name: str) -> None:
    """Refuse functions that need more than one input and a context.

    Raises:
        ConfigError: If the function cannot be called with only these.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"API {name!r}: the parameters of {function!r} are unknown: {error}; wrap "
            "it in a function of your own"
        ) from error
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and (
            parameter.default is parameter.empty or parameter.name in _CONTEXT_NAMES
        ):
            raise ConfigError(
                f"API {name!r}: the parameter {parameter.name!r} is keyword-only, but "
                "API functions are called with positional arguments: remove the `*` "
                "before it"
            )
    inputs = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    if parameters_of(function)[1]:
        # A parameter between the input and the context would receive the context.
        count = len(inputs) - 1
    else:
        count = sum(
            parameter.default is parameter.empty for parameter in inputs[1:]
        ) + bool(inputs)
    if count > 1:
        raise ConfigError(
            f"API {name!r} takes {count} arguments; an API function takes one input "
            "and optionally a context (`ctx`): put several values in one model"
        )
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if not inputs and any(parameter.kind in variadic for parameter in parameters):
        raise ConfigError(
            f"API {name!r} has only `*args` or `**kwargs`: name its input parameter; "
            "in a decorator, functools.wraps keeps the parameter names"
        )


def parameters_of(function: Function) -> tuple[inspect.Parameter | None, bool]:
    """Return the parameter for the body, if any, and whether there is a context.

    The last parameter is a context if its type hint is Context in any notation, or if
    it has no type hint and is named `ctx` or `context`.

    Raises:
        ConfigError: If a type hint cannot be resolved.
    """
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in _POSITIONAL
    ]
    takes_context = False
    if parameters:
        hint = _hints(function).get(parameters[-1].name)
        if hint is None or hint is Any:
            takes_context = parameters[-1].name in _CONTEXT_NAMES
        else:
            takes_context = hint is Context or Context in get_args(hint)
    inputs = parameters[:-1] if takes_context else parameters
    return (inputs[0] if inputs else None), takes_context


def derive_input(function: Function) -> IODescriptor:
    """Return the descriptor of a function's input, from its parameter's type hint.

    `np.ndarray` gives NumpyNdarray, `str` Text, no hint or `Any` plain JSON, other
    types JSON of that type; `Annotated[..., descriptor]` gives that descriptor.

    Raises:
        ConfigError: If the type hint cannot be resolved or is not supported.
    """
    parameter, _ = parameters_of(function)
    if parameter is None:
        return Nothing()
    hint = _hints(function).get(parameter.name, Any)
    try:
        return _descriptor(hint)
    except ConfigError as error:
        raise ConfigError(
            f"API function {_name(function)!r}, parameter {parameter.name!r}: {error}; "
            "give the API an `input=` descriptor or change the type hint"
        ) from error


def derive_output(function: Function) -> IODescriptor:
    """Return the descriptor of a function's result, from its return type hint.

    As `derive_input`. Types that cannot be decoded from JSON but may be encoded, such
    as a DataFrame or a dict of arrays, give JSON without a schema.

    Raises:
        ConfigError: If the hint cannot be resolved, or the function is a generator.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"API function {_name(function)!r} is a generator; return one whole result"
        )
    hint = _hints(function).get("return", Any)
    try:
        return _descriptor(hint)
    except ConfigError:
        return JSON()


def _hints(function: Function) -> dict[str, Any]:
    target = function
    if not inspect.isroutine(function) and not hasattr(function, "__wrapped__"):
        # An object with __call__, or a partial
        target = getattr(function, "func", None) or type(function).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ConfigError(
            f"API function {_name(function)!r}: a type hint cannot be resolved: "
            f"{error}; import the type at the module's top level"
        ) from error


def _descriptor(hint: Any) -> IODescriptor:
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        given = [extra for extra in extras if isinstance(extra, IODescriptor)]
        if given:
            return given[0]
        if kind is str or _is_array(kind):
            return _descriptor(kind)
    if hint is Any or hint is object or hint is inspect.Parameter.empty:
        return JSON()
    if hint is str:
        return Text()
    if not _is_array(hint):
        return JSON.of_type(hint)
    _, *dtypes = get_args(hint) or (None,)
    scalars = get_args(dtypes[0]) if dtypes else ()
    scalar = scalars[0] if scalars else None
    # Abstract kinds, such as np.floating, are not dtypes: accept any numbers.
    concrete = isinstance(scalar, type) and not scalar.__subclasses__()
    if scalar in (np.float64, np.bool_, np.str_, np.int64) or concrete:
        return NumpyNdarray(dtype=scalar, enforce_dtype=True)
    return NumpyNdarray()


def _is_array(hint: Any) -> bool:
    return hint is np.ndarray or get_origin(hint) is np.ndarray


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
