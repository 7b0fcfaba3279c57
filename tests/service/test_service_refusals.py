"""What a service refuses as an API function, as a route and as a name."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

import headway
from headway.errors import ConfigError
from headway.io import JSON
from headway.service.service import Service
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
        (functools.partial(add_with, 1), "has no name of its own"),
        (AsyncObject(), "has no name of its own"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_function_that_cannot_be_called_is_refused(
    function: Callable[..., Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        register(function)


def test_an_object_that_is_no_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no function; descriptors are given as"):
        Service("svc").api("predict")  # type: ignore[call-overload]  # the mistake


@pytest.mark.parametrize(
    ("given", "named", "says"),
    [
        ((JSON(),), {"input": JSON()}, "given twice"),
        ((JSON(), JSON()), {"output": JSON()}, "given twice"),
        ((JSON(), JSON(), JSON()), {}, "given twice"),
        ((JSON, JSON), {}, "JSON'> is no descriptor"),
        ((), {"input": JSON}, "JSON'> is no descriptor"),
        ((nothing, JSON()), {}, "is no descriptor"),
    ],
)
def test_descriptors_that_are_none_or_too_many(
    given: Any, named: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Service("svc").api(*given, **named)


def test_a_builtin_without_a_signature_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrap it in a function of your own"):
        register(dict.pop)


@pytest.mark.parametrize(
    "route",
    ["a b", "/a?b=1", "/a#b", "/a%20b", "/a\nb", "/a\tb", "/items/{id}", "/\x00"],
)
def test_a_route_that_no_request_can_have_is_refused(route: str) -> None:
    with pytest.raises(ConfigError, match="is no plain path"):
        register(nothing, route=route)


@pytest.mark.parametrize("route", ["", "/", "metrics", "/livez", "/-/swagger.css"])
def test_headways_own_routes_are_refused(route: str) -> None:
    with pytest.raises(ConfigError, match="Headway's own"):
        register(nothing, route=route)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 64, "a/b", None, 5])
def test_a_malformed_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="use at most 63 letters"):
        Service(name)


def test_two_runners_of_one_name_are_refused() -> None:
    class Model(headway.Runnable):
        @headway.Runnable.method
        def predict(self, x: Any) -> Any:
            return x

    with pytest.raises(ConfigError, match="two runners are called 'model'"):
        Service("svc", runners=[headway.Runner(Model), headway.Runner(Model)])
