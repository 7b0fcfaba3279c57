"""Batched and unbatched calls have equal results, in every container of rows."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headway.errors import ModelCallError, OutputError
from tests.ipc.round_trip import Arguments, raised, run, run_each, spec

Pair = namedtuple("Pair", ["left", "right"])
Array = npt.NDArray[Any]

raw_dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.byte_string_dtypes(min_len=1),
    hnp.unicode_string_dtypes(min_len=1),
)
trailing = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
row_counts = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@st.composite
def array_calls(draw: st.DrawFn, axis: int = 0) -> list[Arguments]:
    """Return calls of one array each: same dtype and shape, except for the rows."""
    dtype, shape = draw(raw_dtypes), draw(trailing)
    axis = min(axis, len(shape))
    return [
        ((draw(hnp.arrays(dtype, (*shape[:axis], rows, *shape[axis:]))),), {})
        for rows in draw(row_counts)
    ]


def identity(rows: Any) -> Any:
    return rows


def native(array: Array) -> Array:
    """Return an array in the machine's byte order, as one joined with others is."""
    return array.astype(array.dtype.newbyteorder("="))


def same(left: Any, right: Any) -> bool:
    """Tell whether two answers are equal in value, type, dtype and shape."""
    if isinstance(left, np.ma.MaskedArray):
        return bool(
            np.array_equal(left.mask, right.mask)
            and np.array_equal(left.filled(), right.filled())
        )
    if isinstance(left, np.ndarray):
        return (
            type(left) is type(right)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tolist() is not None
            and repr(left.tolist()) == repr(right.tolist())
        )
    if isinstance(left, pd.DataFrame | pd.Series):
        return type(left) is type(right) and bool(left.equals(right))  # type: ignore[arg-type]  # of its own kind
    if scipy.sparse.issparse(left):
        return same(left.toarray(), right.toarray())
    if isinstance(left, tuple | list):
        return type(left) is type(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(
            same(value, right[name]) for name, value in left.items()
        )
    return type(left) is type(right) and bool(left == right)


def check(
    model: Callable[..., Any], calls: list[Arguments], **options: Any
) -> list[Any]:
    """Check that batches of all sizes give the results of single calls; return them."""
    alone = run_each(model, calls, **options)
    for max_rows in (10_000, 7, 2, 1):
        together = run(model, calls, max_rows=max_rows, **options)
        for one, other in zip(alone, together, strict=True):
            assert same(one, other), f"batches of {max_rows}: {one!r} != {other!r}"
    return alone


@given(array_calls())
def test_arrays_of_all_dtypes_and_shapes(calls: list[Arguments]) -> None:
    for (args, _), answer in zip(calls, check(identity, calls), strict=True):
        assert same(native(args[0]), answer)
        assert answer.flags.writeable
        assert answer.flags.aligned


@given(array_calls(axis=1))
def test_rows_on_another_axis(calls: list[Arguments]) -> None:
    axis = min(1, calls[0][0][0].ndim - 1)
    answers = check(identity, calls, method=spec(axis))
    for (args, _), answer in zip(calls, answers, strict=True):
        assert same(native(args[0]), answer)


def test_rows_come_from_one_axis_and_go_to_another() -> None:
    calls: list[Arguments] = [((np.arange(6.0).reshape(2, 3) + i,), {}) for i in (0, 9)]
    for model in (np.transpose, lambda x: np.transpose(x).astype(object)):
        answers = check(model, calls, method=spec((1, 0)))
        for (args, _), answer in zip(calls, answers, strict=True):
            assert np.array_equal(answer, args[0].T)
        answers = check(model, calls, method=spec((0, 1)))
        for (args, _), answer in zip(calls, answers, strict=True):
            assert np.array_equal(answer, args[0].T)


def test_large_arrays_are_not_copied_to_bytes_first() -> None:
    big = np.random.default_rng(1).random((200, 120))
    calls: list[Arguments] = [((big,), {}), ((big[::2],), {}), ((big[:, ::-1],), {})]
    for (args, _), answer in zip(calls, check(identity, calls), strict=True):
        assert np.array_equal(args[0], answer)


def frame(rows: int, start: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": np.arange(start, start + rows, dtype="f8"),
            "text": [f"row {i}" for i in range(start, start + rows)],
            "flag": [i % 2 == 0 for i in range(rows)],
            "kind": pd.Categorical(["a"] * rows, categories=["a", "b"]),
        },
        index=range(start + 5, start + 5 + rows),
    )


CONTAINERS: dict[str, list[Any]] = {
    "list of numbers": [[1, 2, 3], [4], [5, 6]],
    "list of dicts": [[{"a": 1}], [{"a": 2}, {"b": None}], [{}]],
    "list of texts": [["a", "bc"], ["d"], ["e"]],
    "list of arrays": [[np.ones(2)], [np.zeros(2), np.ones(2)]],
    "texts": [np.array(["a", "b"]), np.array(["c", "d"])],
    "objects": [np.array([1, "a", None], object), np.array([2.5], object)],
    "grown texts": [np.array(["a", "b"], "T"), np.array(["longer than c"], "T")],
    "structures": [np.zeros(2, "i4,f8"), np.ones(3, "i4,f8")],
    "void": [np.zeros(2, "V8"), np.zeros(3, "V8")],
    "matrix": [np.asmatrix("1 2; 3 4"), np.asmatrix("5 6")],
    "masked": [
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.ma.masked_array([3.0], [True]),
    ],
    "frame": [frame(2), frame(3, 10), frame(1, 99)],
    "series": [frame(2)["number"], frame(3)["number"]],
    "categories": [frame(2)["kind"], frame(3)["kind"]],
    "csr": [scipy.sparse.random(n, 4, 0.5, "csr", rng=1) for n in (1, 3, 2)],
    "coo": [scipy.sparse.random(n, 4, 0.5, "coo", rng=1) for n in (1, 3, 2)],
    "sparse array": [
        scipy.sparse.random_array((n, 4), density=0.5, format="csr", rng=1)
        for n in (1, 3, 2)
    ],
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_of_rows(name: str) -> None:
    values = CONTAINERS[name]
    calls: list[Arguments] = [((value,), {}) for value in values]
    for value, answer in zip(values, check(identity, calls), strict=True):
        if isinstance(value, pd.DataFrame | pd.Series):
            # An index does not travel: in a batch it would be another one.
            value = value.reset_index(drop=True)
        assert same(value, answer)


RESULTS: dict[str, Callable[[Array], Any]] = {
    "another dtype": lambda x: x.astype("i2"),
    "one number": lambda x: x.sum(axis=1),
    "more dimensions": lambda x: x[:, :, None] * np.ones(3),
    "no columns": lambda x: x[:, :0],
    "list": lambda x: x.tolist(),
    "texts": lambda x: x.sum(axis=1).astype(str),
    "objects": lambda x: x.astype(object),
    "tuple": lambda x: (x, x.sum(axis=1)),
    "named tuple": lambda x: Pair(x, x.tolist()),
    "dict": lambda x: {"label": x.tolist(), "scores": (x, x + 1)},
    "frame": lambda x: pd.DataFrame(x, columns=["a", "b"], index=range(9, 9 + len(x))),
    "series": lambda x: pd.Series(x[:, 0]),
    "sparse": scipy.sparse.csr_matrix,
    "coo": scipy.sparse.coo_matrix,
    "view": lambda x: x[:, ::-1],
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_container_of_results(name: str) -> None:
    calls: list[Arguments] = [
        ((np.arange(2.0 * rows).reshape(rows, 2) + 10 * i,), {})
        for i, rows in enumerate((1, 4, 2))
    ]
    check(RESULTS[name], calls)


def test_several_arguments_and_keywords() -> None:
    def weigh(a: Array, b: Array, scale: float, *, w: Array, power: int) -> Array:
        return (a * w[:, None] + b[:, None]) * scale**power

    def call(rows: int) -> Arguments:
        a = np.arange(3.0 * rows).reshape(rows, 3)
        # Three bytes a row, so that what follows is not aligned.
        b = np.arange(rows, dtype="u1")
        return (a, b, 2.0), {"w": np.arange(rows, dtype="f4"), "power": 3}

    check(weigh, [call(1), call(3), call(2)])


def test_lists_beside_arrays_and_constants() -> None:
    def name(names: list[str], numbers: Array, suffix: str) -> list[str]:
        return [f"{n}{i}{suffix}" for n, i in zip(names, numbers, strict=True)]

    calls: list[Arguments] = [
        ((["a", "b"], np.array([1, 2]), "!"), {}),
        ((["c"], np.array([3]), "!"), {}),
    ]
    assert check(name, calls) == [["a1!", "b2!"], ["c3!"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ((np.zeros((0, 3)),), {}),
        ((np.array(5.0),), {}),
        (([],), {}),
        ((), {}),
        (({"a": 1},), {}),
        (((1, 2),), {}),
        (("text", 5), {"flag": True}),
        ((pd.DataFrame({"a": []}),), {}),
    ],
    ids=[
        *("no rows", "no dimension", "empty list", "nothing", "dict", "tuple"),
        *("constants", "empty frame"),
    ],
)
def test_arguments_without_rows_are_not_batched(arguments: Arguments) -> None:
    (answer,) = run(lambda *args, **kwargs: (args, kwargs), [arguments])
    assert same(answer, arguments)


def test_arguments_of_other_methods_arrive_unchanged() -> None:
    value = {"frame": frame(2), "set": {1, 2}}
    (answer,) = run(
        lambda given, **kwargs: [given, kwargs],
        [((value,), {"k": 1})],
        method=spec(batchable=False),
    )
    assert same(answer[0]["frame"], value["frame"])
    assert answer[0]["set"] == {1, 2}
    assert answer[1] == {"k": 1}


def test_a_model_may_write_to_its_input() -> None:
    def overwrite(x: Array) -> Array:
        x[:] = 7
        return x

    given_ = np.zeros((2, 2))
    check(overwrite, [((given_,), {}), ((given_,), {})])
    assert not given_.any()


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (lambda x: x[:-1], "ndarray with "),
        (lambda x: np.float64(1), "float64 with no rows"),
        (lambda x: None, "NoneType with no rows"),
        (lambda x: "text", "str with no rows"),
        (lambda x: (), "tuple with no rows"),
        (lambda x: (x, x[:-1]), "tuple with no rows"),
        (lambda x: [x], "list with 1 rows"),
        (lambda x: {"a": 1}, "dict with no rows"),
    ],
)
def test_a_result_of_other_rows_fails_all(
    result: Callable[[Array], Any], got: str
) -> None:
    calls: list[Arguments] = [((np.ones((2, 3)),), {})] * 3
    for answer in run(result, calls):
        error = raised(answer)
        assert isinstance(error, OutputError)
        assert got in error.message
        assert "batchable=False" in error.message


class Unpicklable:
    """As some C extensions' objects."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [TypeError("no"), ValueError("no"), KeyError("no")])
@pytest.mark.parametrize("batchable", [True, False])
def test_a_result_that_does_not_pickle_fails(error: Exception, batchable: bool) -> None:
    (answer,) = run(
        lambda x: [Unpicklable(error)] * len(x),
        [((np.ones(3),), {})],
        method=spec(batchable=batchable),
    )
    assert isinstance(raised(answer), OutputError)
    assert "cannot be sent back" in raised(answer).message


class Rude(list[int]):
    """A container that cannot be looked at."""

    def __len__(self) -> int:
        raise RuntimeError("do not count me")


def test_a_result_that_raises_in_len_fails() -> None:
    (answer,) = run(lambda x: Rude(), [((np.ones(3),), {})])
    assert isinstance(raised(answer), ModelCallError)


def growing(x: Array) -> Array:
    """As a tokeniser that pads to the longest of its batch."""
    return np.zeros((len(x), int(x.max())))


def changing_keys(x: Array) -> dict[str, Array]:
    return {f"key {int(x[0])}": x}


@pytest.mark.parametrize("model", [growing, changing_keys])
def test_parts_that_do_not_fit_together_fail_their_call_only(
    model: Callable[[Array], Any],
) -> None:
    calls: list[Arguments] = [
        ((np.array([1.0, 2.0, 3.0]),), {}),
        ((np.array([4.0]),), {}),
    ]
    first, second = run(model, calls, max_rows=2)
    assert isinstance(raised(first), OutputError)
    assert "cannot be joined" in raised(first).message
    assert not isinstance(second, Exception)


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_of_differing_dtypes_are_joined(axis: int) -> None:
    def model(x: Array) -> Array:
        result = np.stack([x, x]) if axis else np.stack([x, x], axis=1)
        return result if x[0] else result.astype(bool)

    calls: list[Arguments] = [((np.array([0, 1, 2, 3]),), {})]
    (answer,) = run(model, calls, method=spec((0, axis)), max_rows=2)
    expected = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    assert np.array_equal(answer, expected.T if axis else expected)


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_of_arrays_and_objects_are_joined(axis: int) -> None:
    def model(x: Array) -> Array:
        result = np.stack([x, x]) if axis else np.stack([x, x], axis=1)
        return result if x[0] else result.astype(object)

    (answer,) = run(
        model, [((np.array([0, 1, 2, 3]),), {})], method=spec((0, axis)), max_rows=2
    )
    expected = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    assert np.array_equal(answer, expected.T if axis else expected)
