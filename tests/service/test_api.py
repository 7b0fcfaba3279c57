"""Descriptors derived from type hints that are strings."""

# mypy: disable-error-code="empty-body"
# The functions are read for their hints, never called.

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from pydantic import BaseModel

import headway.service.context
from headway.errors import BadInputError, ConfigError
from headway.io import JSON, NumpyNdarray, Text
from headway.io.base import Nothing
from headway.service.api import derive_input, derive_output, parameters_of
from headway.service.context import Context

# Hints are strings in this module; test_api_eager_hints has them as objects.


class Model(BaseModel):
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Struct(msgspec.Struct):
    x: int


class Typed(TypedDict):
    x: int


def model(value: Model) -> Model: ...
def data(value: Data) -> Data: ...
def struct(value: Struct) -> Struct: ...
def typed(value: Typed) -> Typed: ...
def optional(value: Model | None) -> Model | None: ...
def models(value: list[Model]) -> list[Model]: ...
def numbers(value: dict[str, list[float]]) -> dict[str, float]: ...
def array(value: np.ndarray) -> np.ndarray: ...
def array32(value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]: ...
def floats(value: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.generic]: ...
def text(value: str) -> str: ...
def anything(value: Any) -> Any: ...
def untyped(value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    ...
def nothing() -> None: ...
def only_context(ctx) -> dict[str, int]: ...  # type: ignore[no-untyped-def] # noqa: ANN001
def with_context(value: str, ctx: Context) -> str: ...
def dotted_context(value: str, request: headway.service.context.Context) -> str: ...
def optional_context(value: str, ctx: Context | None = None) -> str: ...
def untyped_context(value, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    ...
def context_as_input(context: str) -> str: ...
def defaulted(value: str = "x") -> str: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (model, JSON),
        (data, JSON),
        (struct, JSON),
        (typed, JSON),
        (optional, JSON),
        (models, JSON),
        (numbers, JSON),
        (array, NumpyNdarray),
        (array32, NumpyNdarray),
        (floats, NumpyNdarray),
        (text, Text),
        (anything, JSON),
        (untyped, JSON),
    ],
)
def test_type_hints_give_descriptors(
    function: Callable[..., Any], expected: type
) -> None:
    assert type(derive_input(function)) is expected
    assert type(derive_output(function)) is expected


@pytest.mark.parametrize(
    ("function", "value"),
    [(model, Model(x=1)), (data, Data(1)), (struct, Struct(1)), (typed, {"x": 1})],
)
def test_typed_inputs_are_validated(function: Callable[..., Any], value: Any) -> None:
    descriptor = derive_input(function)
    assert descriptor.decode(b'{"x": 1}', None) == value
    with pytest.raises(BadInputError):
        descriptor.decode(b'{"x": "one"}', None)


def test_dtype_of_the_hint_is_enforced() -> None:
    descriptor = derive_input(array32)
    assert descriptor.decode(b"[1, 2]", None).dtype == np.float32
    with pytest.raises(BadInputError):
        descriptor.decode(b"[1e300]", None)
    assert derive_input(floats).decode(b"[1]", None).dtype == np.int64


def test_annotated_descriptor_is_used() -> None:
    given = NumpyNdarray(shape=(-1, 4))

    def function(value: npt.NDArray[np.float32]) -> str: ...

    function.__annotations__ = {
        "value": Annotated[np.ndarray, given],
        "return": Annotated[str, "a note"],
    }
    assert derive_input(function) is given
    assert isinstance(derive_output(function), Text)


@pytest.mark.parametrize(
    ("function", "parameter", "context"),
    [
        (nothing, None, False),
        (only_context, None, True),
        (with_context, "value", True),
        (dotted_context, "value", True),
        (optional_context, "value", True),
        (untyped_context, "value", True),
        (context_as_input, "context", False),
        (defaulted, "value", False),
        (functools.partial(with_context), "value", True),
    ],
)
def test_context_is_not_the_input(
    function: Callable[..., Any], parameter: str | None, context: bool
) -> None:
    found, takes_context = parameters_of(function)
    assert (found and found.name) == parameter
    assert takes_context is context
    expected = Nothing if parameter is None else (Text, JSON)
    assert isinstance(derive_input(function), expected)


def test_callable_objects_use_the_hints_of_call() -> None:
    class Scorer:
        def __call__(self, value: str, ctx: Context) -> str: ...

    parameter, takes_context = parameters_of(Scorer())
    assert parameter is not None
    assert parameter.name == "value"
    assert takes_context
    assert isinstance(derive_input(Scorer()), Text)


def test_unsupported_hint_names_function_and_parameter() -> None:
    def frame(table: pd.DataFrame) -> pd.DataFrame: ...

    with pytest.raises(ConfigError) as caught:
        derive_input(frame)
    assert "frame'" in caught.value.message
    assert "'table'" in caught.value.message
    assert "DataFrame" in caught.value.message


def test_results_need_only_be_encodable() -> None:
    def frame() -> pd.DataFrame: ...
    def arrays() -> dict[str, npt.NDArray[np.float32]]: ...

    for function in (frame, arrays):
        descriptor = derive_output(function)
        assert descriptor.openapi_content() == {"application/json": {"schema": {}}}
    body = derive_output(frame).encode(pd.DataFrame({"a": [1]}), None)[1]
    assert body == b'[{"a":1}]'


def test_unresolvable_hints_are_config_errors() -> None:
    def function(value: Nowhere) -> str: ...  # type: ignore[name-defined] # noqa: F821

    for derive in (derive_input, derive_output):
        with pytest.raises(ConfigError, match="Nowhere"):
            derive(function)


def test_generators_are_refused() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def stream() -> AsyncIterator[int]:
        yield 1

    for function in (generator, stream):
        with pytest.raises(ConfigError, match="is a generator"):
            derive_output(function)
