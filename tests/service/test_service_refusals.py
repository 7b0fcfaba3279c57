"""Invalid API functions, descriptors, routes and names are refused."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

import headway
from headway.errors import ConfigError
from headway.io import JSON
from headway.service.service import ServiceDefinition
from tests.service.test_service import AsyncObject, add_with, nothing, register


def keyword_only(value: Any, *, factor: int) -> None: ...


def keyword_context(value: Any, *, ctx: Any = None) -> None: ...


def stars_only(*args: Any) -> None: ...


def two_stars_only(**kwargs: Any) -> None: ...


def two_inputs(a: int, b: int) -> None: ...


def two_inputs_and_context(a: int, b: int, ctx: Any) -> None: ...


def default_before_context(a: int, b: int = 1, ctx: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (keyword_only, "'factor' is keyword-only"),
        (keyword_context, "'ctx' is keyword-only"),
        (stars_only, "functools.wraps"),
        (two_stars_only, "functools.wraps"),
        (two_inputs, "takes 2 arguments"),
        (two_inputs_and_context, "takes 2 arguments"),
        (default_before_context, "takes 2 arguments"),
        (lambda x: x, "'<lambda>' is not an identifier; choose one with `name=`"),
        (functools.partial(add_with, 1), "has no name"),
        (AsyncObject(), "has no name"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_function_with_unsupported_parameters_is_refused(
    function: Callable[..., Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        register(function)


def test_object_that_is_not_callable_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not a function; give descriptors as"):
        ServiceDefinition("svc").api("predict")  # type: ignore[call-overload]  # the mistake


@pytest.mark.parametrize(
    ("given", "named", "says"),
    [
        ((JSON(),), {"input": JSON()}, "given twice"),
        ((JSON(), JSON()), {"output": JSON()}, "given twice"),
        ((JSON(), JSON(), JSON()), {}, "given twice"),
        ((JSON, JSON), {}, "JSON'> is not an IO descriptor"),
        ((), {"input": JSON}, "JSON'> is not an IO descriptor"),
        ((nothing, JSON()), {}, "is not an IO descriptor"),
    ],
)
def test_invalid_or_repeated_descriptors_are_refused(
    given: Any, named: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        ServiceDefinition("svc").api(*given, **named)


def test_builtin_without_a_signature_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrap it in a function of your own"):
        register(dict.pop)


@pytest.mark.parametrize(
    "route",
    ["a b", "/a?b=1", "/a#b", "/a%20b", "/a\nb", "/a\tb", "/items/{id}", "/\x00"],
)
def test_malformed_route_is_refused(route: str) -> None:
    with pytest.raises(ConfigError, match="is not a plain path"):
        register(nothing, route=route)


@pytest.mark.parametrize("route", ["", "/", "metrics", "/livez", "/-/swagger.css"])
def test_reserved_routes_are_refused(route: str) -> None:
    with pytest.raises(ConfigError, match="reserved for Headway"):
        register(nothing, route=route)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 64, "a/b", None, 5])
def test_malformed_service_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="use at most 63 letters"):
        ServiceDefinition(name)


def test_duplicate_runner_names_are_refused() -> None:
    class Model(headway.Runnable):
        @headway.Runnable.method
        def predict(self, x: Any) -> Any:
            return x

    with pytest.raises(ConfigError, match="two runners are named 'model'"):
        ServiceDefinition("svc", runners=[headway.Runner(Model), headway.Runner(Model)])
