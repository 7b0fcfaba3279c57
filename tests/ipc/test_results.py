"""Results decode as encoded; others raise WireError or OutputError."""

import pickle
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway.errors import OutputError, WireError
from headway.ipc.frames import parse_record
from headway.ipc.records import ARRAYS, PICKLED, ResultKey
from headway.ipc.rows import (
    decode_results,
    encode_array,
    encode_pickles,
    join,
    rows_first,
    take,
)


def key(*fields: Any) -> bytes:
    return msgspec.msgpack.encode(ResultKey(*fields))


def test_rows_are_cut_by_call() -> None:
    array = np.arange(12.0).reshape(6, 2)
    form, raw = encode_array(array, 0)
    results = decode_results(form, [1, 3, 2], memoryview(raw))
    assert [len(result) for result in results] == [1, 3, 2]
    assert np.array_equal(np.concatenate(results), array)
    results[0][:] = 7.0  # the callers may write to them


@pytest.mark.parametrize("dtype", ["i8", object])
def test_rows_return_to_their_axis_unless_kept_first(dtype: Any) -> None:
    array = np.arange(6).reshape(3, 2).astype(dtype)
    if dtype is object:
        form, blobs = encode_pickles([array], 1)
        sizes, payload = [len(blobs[0])], memoryview(blobs[0])
    else:
        form, raw = encode_array(array, 1)
        sizes, payload = [3], memoryview(raw)
    assert decode_results(form, sizes, payload)[0].shape == (2, 3)
    (rows,) = decode_results(form, sizes, payload, keep_rows_first=True)
    assert rows.shape == (3, 2)
    assert parse_record(form, ResultKey).axis == 1


def test_a_list_has_no_other_axis() -> None:
    form, blobs = encode_pickles([[1, 2]], 1)
    assert decode_results(form, [len(blobs[0])], memoryview(blobs[0])) == [[1, 2]]


@pytest.mark.parametrize(
    ("form", "sizes", "payload", "says"),
    [
        (b"\xff", [1], b"", "ResultKey does not parse"),
        (key(ARRAYS, "<f8"), [2], b"12345678", "do not add up"),
        (key(ARRAYS, "<f8"), [1], b"1234567", "do not add up"),
        (key(ARRAYS, "<f8", (3,)), [1], b"12345678", "do not add up"),
        (key(ARRAYS, "O"), [1], b"12345678", "cannot travel as raw bytes"),
        (key(ARRAYS, "nonsense"), [1], b"12345678", "has no dtype"),
    ],
)
def test_bytes_that_do_not_add_up(
    form: bytes, sizes: list[int], payload: bytes, says: str
) -> None:
    with pytest.raises(WireError, match=says):
        decode_results(form, sizes, memoryview(payload))


@example(form=b"\x92\x00\xa3\x00\x00\x80", sizes=[], payload=b"")
@given(st.binary(max_size=50), st.lists(st.integers(0, 9), max_size=3), st.binary())
def test_garbage_raises_nothing_else(
    form: bytes, sizes: list[int], payload: bytes
) -> None:
    try:
        decode_results(form, sizes, memoryview(payload))
    except (WireError, OutputError) as error:
        message = error.message
    else:
        message = "a result"
    assert "Result" in message or "result" in message or "array" in message


def test_a_pickle_that_cannot_be_read_is_an_output_error() -> None:
    blob = pickle.dumps(1).replace(b"K\x01", b"K")
    with pytest.raises(OutputError, match="cannot be read in the API worker"):
        decode_results(key(PICKLED), [len(blob)], memoryview(blob))


class Nameless(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class RaisesNameless:
    """Raises that error when it is pickled."""

    def __reduce__(self) -> Any:
        raise Nameless


def raise_nameless() -> None:
    raise Nameless


class ReadRaisesNameless:
    """Pickles, and raises that error when it is read."""

    def __reduce__(self) -> Any:
        return raise_nameless, ()


def test_an_error_without_a_text_is_an_output_error() -> None:
    blob = pickle.dumps(ReadRaisesNameless())
    says = "read in the API worker: Nameless, whose text raised RuntimeError"
    with pytest.raises(OutputError, match=says):
        decode_results(key(PICKLED), [len(blob)], memoryview(blob))
    with pytest.raises(OutputError, match="sent back: Nameless, whose text"):
        encode_pickles([RaisesNameless()])


def test_rows_are_counted_on_their_axis() -> None:
    array = np.ones((2, 5))
    assert rows_first(array, 1, 5, "predict").shape == (5, 2)
    assert rows_first(array, 0, 2, "predict") is array
    assert rows_first([1, 2], 1, 2, "predict") == [1, 2]
    with pytest.raises(OutputError, match="ndarray with 2 rows along batch_dim 0"):
        rows_first(array, 0, 5, "predict")


def test_values_without_rows_cannot_be_joined() -> None:
    with pytest.raises(OutputError, match=r"rows of 2 parts \(int, str\)"):
        join([1, "a"])


@given(st.lists(st.lists(st.integers(), min_size=1), min_size=1))
def test_take_undoes_join(parts: list[list[int]]) -> None:
    whole = join([{"a": part, "b": (np.array(part, object),)} for part in parts])
    at = 0
    for part in parts:
        cut = take(whole, at, at + len(part))
        assert cut["a"] == part
        assert cut["b"][0].tolist() == part
        at += len(part)
