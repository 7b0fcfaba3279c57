"""Type hints of an API function to its descriptors.

service calls it where a user gives no `input=` or `output=`; it makes what io/ offers.
"""

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

__all__ = ["derive_input", "derive_output", "input_parameter", "takes_context"]

Function = Callable[..., Any]
_CONTEXT_NAMES = ("ctx", "context")


def derive_input(function: Function) -> IODescriptor:
    """Return the descriptor of a function's input, from the hint of its parameter.

    `np.ndarray` is NumpyNdarray, `str` Text, no hint or `Any` plain JSON, every other
    type JSON of that type; `Annotated[..., descriptor]` is that descriptor.

    Raises:
        ConfigError: If the hint cannot be resolved or served.
    """
    parameter = input_parameter(function)
    if parameter is None:
        return Nothing()
    hint = _hints(function).get(parameter.name, Any)
    try:
        return _descriptor(hint)
    except ConfigError as error:
        raise ConfigError(
            f"API function {_name(function)!r}, parameter {parameter.name!r}: {error}; "
            "give the API an `input=` descriptor or another hint"
        ) from error


def derive_output(function: Function) -> IODescriptor:
    """Return the descriptor of a function's result, from its return hint.

    As `derive_input`; but a type that only cannot be read from JSON, such as a
    DataFrame or a dict of arrays, is JSON without a schema.

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


def input_parameter(function: Function) -> inspect.Parameter | None:
    """Return the parameter that gets the body; None if there is only a context.

    Raises:
        ConfigError: If a hint cannot be resolved.
    """
    parameters = _positional(function)
    if parameters and _is_context(parameters[-1], function):
        parameters.pop()
    return parameters[0] if parameters else None


def takes_context(function: Function) -> bool:
    """Tell whether the function's last parameter is a context.

    It is if its hint is Context, however spelt, or if it has none and is called `ctx`
    or `context`.

    Raises:
        ConfigError: If a hint cannot be resolved.
    """
    parameters = _positional(function)
    return bool(parameters) and _is_context(parameters[-1], function)


def _positional(function: Function) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind
        in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]


def _is_context(parameter: inspect.Parameter, function: Function) -> bool:
    hint = _hints(function).get(parameter.name)
    if hint is None or hint is Any:
        return parameter.name in _CONTEXT_NAMES
    return hint is Context or Context in get_args(hint)


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
    if _is_array(hint):
        return _array_descriptor(hint)
    return JSON.of_type(hint)


def _is_array(hint: Any) -> bool:
    return hint is np.ndarray or get_origin(hint) is np.ndarray


def _array_descriptor(hint: Any) -> NumpyNdarray:
    _, *dtypes = get_args(hint) or (None,)
    scalars = get_args(dtypes[0]) if dtypes else ()
    scalar = scalars[0] if scalars else None
    # Abstract kinds, such as np.floating, are no dtype: any numbers will do.
    concrete = isinstance(scalar, type) and not scalar.__subclasses__()
    if scalar in (np.float64, np.bool_, np.str_, np.int64) or concrete:
        return NumpyNdarray(dtype=scalar, enforce_dtype=True)
    return NumpyNdarray()


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
