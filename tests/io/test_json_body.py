"""Encoding of results as JSON."""

import dataclasses
import json
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import BaseModel, ConfigDict

from headway.errors import OutputError
from headway.io.json_body import encode_json, encode_with


class Score(BaseModel):
    name: str
    score: float


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    values: np.ndarray[Any, Any]


class Point(msgspec.Struct):
    x: float


@dataclasses.dataclass
class Box:
    values: Any


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class TensorLike:
    """What torch.Tensor is to the encoder."""

    def tolist(self) -> list[int]:
        return [1, 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"p": np.float32(0.5), "n": np.int64(3)}, {"p": 0.5, "n": 3}),
        ({"approved": np.bool_(True)}, {"approved": True}),
        (np.array([1, 2]) == 1, [True, False]),
        ([np.array([[1.5]])], [[[1.5]]]),
        (np.array(7), 7),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([b"a"]), ["a"]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.longdouble(1.5), 1.5),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.array(["2026-01-02", "NaT"], "M8[D]"), ["2026-01-02", None]),
        ((1, "a"), [1, "a"]),
        ({1, 2}, [1, 2]),
        (range(3), [0, 1, 2]),
        (deque([1]), [1]),
        ((n for n in (1, 2)), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        ({np.str_("a"): 1, np.int64(2): 2}, {"a": 1, "2": 2}),
        ({None: 1, True: 2}, {"null": 1, "true": 2}),
        (Score(name="a", score=1.5), {"name": "a", "score": 1.5}),
        ([Score(name="a", score=1.5)], [{"name": "a", "score": 1.5}]),
        (Holder(values=np.array([1])), {"values": [1]}),
        (Point(x=1.0), {"x": 1.0}),
        (Box(values=np.array([1])), {"values": [1]}),
        (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(days=1), "P1D"),
        (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        ([pd.NaT, pd.NA], [None, None]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Index(["a"]), ["a"]),
        (
            pd.DataFrame({"a": [1, 2], "b": [0.5, None]}),
            [{"a": 1, "b": 0.5}, {"a": 2, "b": None}],
        ),
        (TensorLike(), [1, 2]),
        (Shout("a"), "a"),
        (float("nan"), None),
        ([float("inf"), np.array([np.nan])], [None, [None]]),
    ],
)
def test_results_are_encoded_as_json(value: Any, expected: Any) -> None:
    assert json.loads(encode_json(value)) == expected


async def _unawaited() -> None: ...


def _circular() -> list[Any]:
    circular: list[Any] = []
    circular.append(circular)
    return circular


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (object, "object is not supported"),
        (lambda: {(1, 2): 3}, "tuple"),
        (lambda: [1j], "complex"),
        (lambda: np.array([1j]), "complex128"),
        (lambda: np.array([b"\xff"]), "utf-8"),
        (lambda: "\ud800", "surrogates"),
        (lambda: int, "type is not supported"),
        (_circular, "contains itself"),
    ],
)
def test_unsupported_results_are_output_errors(
    make: Callable[[], Any], reason: str
) -> None:
    with pytest.raises(OutputError) as caught:
        encode_json(make())
    assert reason in caught.value.message
    assert "the API function's result" in caught.value.message


def test_missing_await_is_named() -> None:
    coroutine = _unawaited()
    with pytest.raises(OutputError, match="`await` missing"):
        encode_json({"result": coroutine})
    coroutine.close()


def test_custom_encoder_class_is_used() -> None:
    class Encoder(json.JSONEncoder):
        def default(self, o: Any) -> Any:
            return f"<{o.real}>" if isinstance(o, complex) else super().default(o)

    encode = encode_with(Encoder)
    assert encode({"a": 1j, "é": 1}) == '{"a":"<0.0>","é":1}'.encode()
    with pytest.raises(OutputError, match="not JSON serializable"):
        encode(object())


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(_plain)
def test_plain_values_round_trip_through_the_standard_parser(value: Any) -> None:
    assert json.loads(encode_json(value)) == value


@given(
    npst.arrays(
        dtype=npst.boolean_dtypes()
        | npst.integer_dtypes()
        | npst.unsigned_integer_dtypes()
        | npst.floating_dtypes()
        | npst.unicode_string_dtypes()
        | npst.byte_string_dtypes()
        | npst.datetime64_dtypes()
        | npst.timedelta64_dtypes()
        | npst.complex_number_dtypes(),
        shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_random_arrays_are_encoded_or_refused(array: Any) -> None:
    try:
        body = encode_json({"array": array, "first": array[(0,) * array.ndim]})
    except (OutputError, IndexError):
        return
    assert np.shape(json.loads(body)["array"])[: array.ndim] == array.shape or (
        array.size == 0
    )
