"""NumpyNdarray: JSON, .npy and raw bodies, dtypes, shapes and documentation."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from headway.errors import (
    BadInputError,
    ConfigError,
    OutputError,
    UnsupportedMediaTypeError,
)
from headway.io import NumpyNdarray

Array = np.ndarray[Any, np.dtype[Any]]
_NPY = "application/x-npy"
_RAW = "application/octet-stream"
_DTYPES = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64"]
_DESCRIPTORS = [
    NumpyNdarray(),
    NumpyNdarray(dtype="str"),
    *(NumpyNdarray(dtype=dtype, enforce_dtype=True) for dtype in _DTYPES),
    NumpyNdarray(dtype="float32", shape=(-1, 4)),
    NumpyNdarray(dtype="int64", shape=(-1, 2), enforce_shape=True),
]


_arrays = st.sampled_from(_DTYPES).flatmap(
    lambda dtype: npst.arrays(
        dtype=dtype,
        shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=npst.from_dtype(np.dtype(dtype), allow_infinity=False),
    )
)


def _body(value: Any) -> bytes:
    return json.dumps(value).encode()


def _equal(left: Array, right: Array) -> bool:
    return (
        left.shape == right.shape
        and left.dtype == right.dtype
        and bool(np.array_equal(left, right, equal_nan=left.dtype.kind == "f"))
    )


@given(_arrays)
def test_json_round_trips_every_dtype_and_shape(array: Array) -> None:
    descriptor = NumpyNdarray(dtype=array.dtype, enforce_dtype=True, shape=array.shape)
    content_type, body = descriptor.encode(array, "*/*")
    assert content_type == "application/json"
    assert _equal(descriptor.decode(body, content_type), array)


@given(_arrays)
def test_indented_json_gives_the_same_array(array: Array) -> None:
    descriptor = NumpyNdarray(dtype=array.dtype, enforce_dtype=True)
    values = json.loads(descriptor.encode(array, None)[1])
    spread = json.dumps(values, indent=3).encode()
    assert _equal(
        descriptor.decode(b" \n" + spread, None),
        descriptor.decode(_body(values), None),
    )


@given(_arrays, st.sampled_from(["C", "F"]), st.sampled_from(["<", ">"]))
def test_npy_round_trips_every_layout(
    array: Array, order: Any, byte_order: Any
) -> None:
    foreign = np.asarray(array, order=order).astype(
        array.dtype.newbyteorder(byte_order), order="K"
    )
    descriptor = NumpyNdarray()
    content_type, body = descriptor.encode(foreign, _NPY)
    assert content_type == _NPY
    decoded = descriptor.decode(body, content_type)
    assert _equal(decoded, array)
    assert decoded.flags.writeable


@given(_arrays)
def test_raw_elements_round_trip(array: Array) -> None:
    if 0 in array.shape:
        return
    descriptor = NumpyNdarray(dtype=array.dtype, shape=array.shape)
    body = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert _equal(descriptor.decode(body, _RAW), array)


@given(
    npst.arrays(
        dtype=np.str_,
        shape=npst.array_shapes(max_dims=2, max_side=3),
        elements=st.text("aé😀 \n", max_size=5),
    )
)
def test_strings_round_trip_in_both_forms(array: Array) -> None:
    descriptor = NumpyNdarray(dtype=str, enforce_dtype=True)
    for accept in ("application/json", _NPY):
        content_type, body = descriptor.encode(array, accept)
        assert descriptor.decode(body, content_type).tolist() == array.tolist()


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
@given(
    body=st.binary() | st.binary().map(lambda tail: b"\x93NUMPY\x01\x00" + tail),
    content_type=st.sampled_from([None, "application/json", _NPY, _RAW]) | st.text(),
)
def test_random_bodies_raise_only_client_errors(
    descriptor: NumpyNdarray, body: bytes, content_type: str | None
) -> None:
    with suppress(BadInputError, UnsupportedMediaTypeError):
        assert isinstance(descriptor.decode(body, content_type), np.ndarray)


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=1), inner, max_size=1)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("descriptor", _DESCRIPTORS)
@given(value=_json_values)
def test_random_json_gives_an_array_or_bad_input(
    descriptor: NumpyNdarray, value: Any
) -> None:
    with suppress(BadInputError):
        array = descriptor.decode(_body(value), None)
        assert array.dtype.kind in "biufU"


def _outcome(descriptor: NumpyNdarray, body: bytes) -> Any:
    try:
        array = descriptor.decode(body, None)
    except BadInputError:
        return "refused"
    return str(array.dtype), array.shape, repr(array.tolist())


@pytest.mark.parametrize("dtype", _DTYPES)
@given(value=_json_values)
def test_fast_and_slow_json_paths_agree(dtype: str, value: Any) -> None:
    # Leading white space forces the slow path.
    descriptor = NumpyNdarray(dtype=dtype, enforce_dtype=True)
    body = _body(value)
    assert _outcome(descriptor, body) == _outcome(descriptor, b"    " + body)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3]], "ragged: a list of 1 at $[1], but a list of 2 earlier"),
        ([1, [2]], "ragged: a list of 1 at $[1], but a scalar earlier"),
        ([[1, "x"]], "expected an array of numbers, got a string at $[0][1]"),
        ([["1.5"]], "got a string at $[0][0]"),
        ({"a": 1}, "got an object at $"),
        ([[1], [{}]], "got an object at $[1][0]"),
    ],
)
@pytest.mark.parametrize("dtype", [None, "float32", "int64"])
def test_non_numeric_json_is_refused_with_its_place(
    dtype: str | None, value: Any, message: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        NumpyNdarray(dtype=dtype).decode(_body(value), None)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"[[1, 2]", "it ends too early, after byte 7"),
        (b"[NaN]", "malformed"),
        (b"[" * 100_000, "malformed|nested too deeply"),
        (b"[" * 20 + b"1" + b"]" * 20, "more than 8 dimensions"),
        (b'["\xff"]', "malformed"),
    ],
)
@pytest.mark.parametrize("dtype", [None, "float32", "str"])
def test_malformed_json_is_refused(
    dtype: str | None, body: bytes, message: str
) -> None:
    if message.startswith("more") and dtype == "str":
        message = "got a number"
    with pytest.raises(BadInputError, match=message):
        NumpyNdarray(dtype=dtype).decode(body, None)


def test_long_string_among_numbers_allocates_no_array() -> None:
    body = _body([0] * 10_000 + ["x" * 1_000_000])
    with pytest.raises(BadInputError, match=r"got a string at \$\[10000\]"):
        NumpyNdarray().decode(body, None)
    body = _body([""] * 10_000 + ["x" * 1_000_000])
    with pytest.raises(BadInputError, match="send fewer"):
        NumpyNdarray(dtype=str).decode(body, None)


def test_null_among_numbers_becomes_nan() -> None:
    for dtype in (None, "float64", "float32"):
        array = NumpyNdarray(dtype=dtype).decode(b"[[1, null]]", None)
        assert array.dtype == (dtype or "float64")
        assert np.isnan(array[0, 1])
    with pytest.raises(BadInputError, match="int64"):
        NumpyNdarray("int64", enforce_dtype=True).decode(b"[1, null]", None)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", [1.5]),
        ("int64", [1e300]),
        ("uint64", [18446744073709551616]),
        ("uint8", [300]),
        ("uint8", [-1]),
        ("bool", [2]),
        ("float32", [1e300]),
        ("float16", [70000]),
    ],
)
def test_enforced_dtype_refuses_values_it_cannot_hold(dtype: str, value: Any) -> None:
    with pytest.raises(BadInputError, match=f"expected an array of {dtype}, got"):
        NumpyNdarray(dtype, enforce_dtype=True).decode(_body(value), None)
    passed = NumpyNdarray(dtype).decode(_body(value), None)
    assert passed.dtype != np.dtype(dtype)
    assert passed.tolist() == value


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", [2.0, -3]),
        ("float32", [1, True]),
        ("bool", [0, 1.0]),
        ("uint64", [2**64 - 1]),
        ("float64", []),
    ],
)
def test_enforced_dtype_converts_values_it_can_hold(dtype: str, value: Any) -> None:
    array = NumpyNdarray(dtype, enforce_dtype=True).decode(_body(value), None)
    assert array.dtype == dtype
    assert array.tolist() == value


def test_without_a_dtype_numpy_chooses_it() -> None:
    decode = NumpyNdarray().decode
    assert decode(b"[1, 2]", None).dtype == np.int64
    assert decode(b"[[1, 2.5]]", None).dtype == np.float64
    assert decode(b"[true]", None).dtype == np.bool_
    assert decode(b"5", None).shape == ()


def test_shape_is_enforced_or_reached_by_adding_axes() -> None:
    enforced = NumpyNdarray(shape=(-1, 2), enforce_shape=True)
    assert enforced.decode(b"[[1, 2], [3, 4]]", None).shape == (2, 2)
    for body in (b"[[1, 2, 3]]", b"[1, 2]", b"[]", b"[[[1, 2]]]"):
        with pytest.raises(BadInputError, match=r"shape \(any, 2\), got \("):
            enforced.decode(body, None)

    loose = NumpyNdarray(shape=(-1, 2))
    assert loose.decode(b"[1, 2]", None).shape == (1, 2)
    assert loose.decode(b"[]", None).shape == (0, 2)
    assert loose.decode(b"[1, 2, 3]", None).shape == (3,)
    # (2, 4) has as many elements as (4, 2), but its rows must not be invented
    assert loose.decode(b"[[1, 2, 3, 4], [5, 6, 7, 8]]", None).shape == (2, 4)
    assert NumpyNdarray(shape=(-1, -1)).decode(b"[1]", None).shape == (1,)


def test_raw_elements_need_a_dtype_and_a_shape() -> None:
    descriptor = NumpyNdarray("float32", shape=(-1, 2))
    body = np.array([[1, 2], [3, 4]], "<f4").tobytes()
    assert descriptor.decode(body, _RAW).tolist() == [[1, 2], [3, 4]]
    assert descriptor.decode(b"", _RAW).shape == (0, 2)
    with pytest.raises(BadInputError, match="a multiple of 8 bytes"):
        descriptor.decode(body[:-1], _RAW)
    with pytest.raises(BadInputError, match="which needs 8 bytes"):
        NumpyNdarray("float32", shape=(1, 2)).decode(body, _RAW)
    for unsuited in (
        NumpyNdarray(),
        NumpyNdarray("float32"),
        NumpyNdarray("float32", shape=(-1, -1)),
        NumpyNdarray("str", shape=(2,)),
    ):
        with pytest.raises(
            UnsupportedMediaTypeError, match="does not accept raw elements"
        ):
            unsuited.decode(body, _RAW)


def test_other_media_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="image/png"):
        NumpyNdarray().decode(b"[1]", "image/png")
    assert NumpyNdarray().decode(b"[1]", "application/json; charset=utf-8").size == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), b"0.5"),
        (np.array([1.5])[0], b"1.5"),
        (3, b"3"),
        ([1, 2], b"[1,2]"),
        (np.array(["cat"]), b'["cat"]'),
        (np.array([np.nan]), b"[null]"),
        (pd.Series([1, 2]), b"[1,2]"),
    ],
)
def test_output_accepts_model_results(value: Any, expected: bytes) -> None:
    assert NumpyNdarray().encode(value, None) == ("application/json", expected)


def test_output_that_does_not_fit_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="cannot be converted"):
        NumpyNdarray().encode([[1], [1, 2]], None)
    with pytest.raises(OutputError, match="expected an array of int64"):
        NumpyNdarray("int64", enforce_dtype=True).encode([1.5], None)
    with pytest.raises(OutputError, match=r"shape \(1,\), got \(2,\)"):
        NumpyNdarray(shape=(1,), enforce_shape=True).encode([1, 2], None)
    with pytest.raises(OutputError, match=r"\.npy"):
        NumpyNdarray().encode(np.array([object()]), _NPY)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": "nonsense"},
        {"dtype": object},
        {"dtype": "complex64"},
        {"dtype": "M8[s]"},
        {"shape": 4},
        {"shape": (-2, 4)},
        {"shape": (1.5,)},
        {"enforce_dtype": True},
        {"enforce_shape": True},
    ],
)
def test_invalid_dtypes_and_shapes_are_config_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="NumpyNdarray"):
        NumpyNdarray(**arguments)


def test_sample_gives_dtype_shape_and_example() -> None:
    descriptor = NumpyNdarray.from_sample(
        [[5.1, 3.5]], enforce_dtype=True, enforce_shape=True
    )
    content = descriptor.openapi_content()
    assert content["application/json"]["example"] == [[5.1, 3.5]]
    row = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    assert content["application/json"]["schema"] == {"type": "array", "items": row}
    assert set(content) == {"application/json", _NPY, _RAW}
    assert descriptor.decode(b"[[1, 2], [3, 4]]", None).shape == (2, 2)
    with pytest.raises(BadInputError):
        descriptor.decode(b"[[1, 2, 3]]", None)


def test_shape_gives_a_valid_example() -> None:
    descriptor = NumpyNdarray("int64", True, (-1, 3), True)
    content = descriptor.openapi_content()["application/json"]
    assert content["example"] == [[0, 0, 0]]
    assert descriptor.decode(_body(content["example"]), None).shape == (1, 3)
    big = NumpyNdarray(shape=(100, 100)).openapi_content()
    assert "example" not in big["application/json"]
    assert set(NumpyNdarray().openapi_content()) == {"application/json", _NPY}
