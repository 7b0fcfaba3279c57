"""Keys: two calls share one if and only if they may be merged."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import example, given
from hypothesis import strategies as st

from headway.core.method_spec import MethodSpec
from headway.errors import UsageError, WireError
from headway.ipc.call import CallEncoder
from headway.ipc.frames import parse_record
from headway.ipc.records import ARRAYS, OPAQUE, PICKLED, ArgumentSpec, CallKey
from headway.ipc.rows import kind_of, raw_bytes, raw_dtype
from tests.ipc.round_trip import spec

Call = tuple[tuple[Any, ...], dict[str, Any]]


def call(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def kinds(*categories: str, ordered: bool = False) -> pd.Series:
    return pd.Series(pd.Categorical([categories[0]], categories, ordered=ordered))


MERGE: list[tuple[Call, Call]] = [
    (call(np.ones((1, 3))), call(np.zeros((5, 3)))),
    (call(np.ones(3)), call(np.ones(1))),
    (call(np.ones((2, 3), ">f8")), call(np.ones((2, 3)))),
    (call(np.ones((2, 3), order="F")), call(np.ones((2, 3)))),
    (call(np.ones((4, 3))[::2]), call(np.ones((2, 3)))),
    (call([1, 2]), call(["a"])),
    (call(np.ones(2), 5), call(np.zeros(3), 5)),
    (call(np.ones(2), w=np.ones(2)), call(np.ones(3), w=np.ones(3))),
    (call(np.ones(2), k=1), call(np.ones(3), k=1)),
    (call(frame(a=[1], b=["x"])), call(frame(a=[2, 3], b=["y", "z"]))),
    (call(kinds("a", "b")), call(kinds("a", "b"))),
    (call(scipy.sparse.eye(3, 4).tocsr()), call(scipy.sparse.eye(9, 4).tocsr())),
    (call(np.array([None])), call(np.array([1, 2], object))),
]
APART: list[tuple[Call, Call]] = [
    (call(np.ones((1, 3))), call(np.ones((1, 4)))),
    (call(np.ones((1, 3))), call(np.ones(3))),
    (call(np.ones(2)), call(np.ones(2, "f4"))),
    (call(np.array(["a"])), call(np.array(["ab"]))),
    (call(np.zeros(1, "M8[s]")), call(np.zeros(1, "M8[ms]"))),
    (call(np.ones(2)), call([1.0, 2.0])),
    (call(np.ones(2), 5), call(np.ones(2), 6)),
    (call(np.ones(2), k=5), call(np.ones(2), k=6)),
    (call(np.ones(2), k=5), call(np.ones(2), 5)),
    (call(np.ones(2), k=5), call(np.ones(2))),
    (call(np.ones(2), np.ones(2)), call(np.ones(2))),
    (call(np.ones(2), v=np.ones(2)), call(np.ones(2), w=np.ones(2))),
    (call(frame(a=[1])), call(frame(b=[1]))),
    (call(frame(a=[1])), call(frame(a=[1.5]))),
    (call(frame(a=[1], b=[1])), call(frame(b=[1], a=[1]))),
    (call(pd.DataFrame([[1]], columns=[1])), call(pd.DataFrame([[1]], columns=["1"]))),
    (call(frame(a=[1])), call(frame(a=[1])["a"])),
    (call(kinds("a", "b")), call(kinds("a", "c"))),
    (call(kinds("a", "b")), call(kinds("a", "b", ordered=True))),
    (call(frame(a=kinds("a", "b"))), call(frame(a=kinds("a")))),
    (call(scipy.sparse.eye(3, 4).tocsr()), call(scipy.sparse.eye(3, 5).tocsr())),
    (call(scipy.sparse.eye(3, 4).tocsr()), call(scipy.sparse.eye(3, 4).tocsc())),
    (
        call(scipy.sparse.eye(3, 4).tocsr()),
        call(scipy.sparse.csr_array(scipy.sparse.eye(3, 4))),
    ),
    (call(np.array([1, 2], object)), call(np.array([1, 2]))),
    (call(np.zeros(2, "i4,f8")), call(np.zeros(2, "i4,f4"))),
]


def keys(method: MethodSpec, *calls: Call) -> list[bytes]:
    encoder = CallEncoder()
    # Twice, as the second time a key may come from the encoder's memory.
    first = [encoder.encode(method, *one).key for one in calls]
    assert [encoder.encode(method, *one).key for one in calls] == first
    assert [CallEncoder().encode(method, *one).key for one in calls] == first
    return first


@pytest.mark.parametrize(("left", "right"), MERGE)
def test_calls_that_may_be_merged_share_a_key(left: Call, right: Call) -> None:
    one, other = keys(spec(), left, right)
    assert one == other
    assert parse_record(one, CallKey).mode in (ARRAYS, PICKLED)


@pytest.mark.parametrize(("left", "right"), APART)
def test_calls_that_may_not_be_merged_differ(left: Call, right: Call) -> None:
    one, other = keys(spec(), left, right)
    assert one != other


def test_methods_never_share_a_key() -> None:
    encoder = CallEncoder()
    array = np.ones(3)
    other = MethodSpec("score", batchable=True)
    for _ in range(2):
        assert (
            encoder.encode(spec(), (array,), {}).key
            != encoder.encode(other, (array,), {}).key
        )


@given(
    st.sampled_from(["f4", "f8", "i4", "U3", "?"]),
    st.lists(st.integers(1, 3), max_size=2),
    st.sampled_from(["f4", "f8", "i4", "U3", "?"]),
    st.lists(st.integers(1, 3), max_size=2),
)
def test_arrays_share_a_key_if_and_only_if_they_concatenate(
    dtype: str, shape: list[int], other_dtype: str, other_shape: list[int]
) -> None:
    one, other = keys(
        spec(),
        call(np.zeros((2, *shape), dtype)),
        call(np.zeros((3, *other_shape), other_dtype)),
    )
    assert (one == other) == ((dtype, shape) == (other_dtype, other_shape))


def test_the_key_describes_the_arguments() -> None:
    encoded = CallEncoder().encode(spec(), (np.ones((2, 3)), 7), {"w": np.ones(2)})
    key = parse_record(encoded.key, CallKey)
    assert key.arguments == (
        ArgumentSpec(0, "array", "<f8", (3,)),
        ArgumentSpec("w", "array", "<f8", ()),
    )
    assert (key.method, key.mode) == ("predict", ARRAYS)
    assert (encoded.rows, encoded.nbytes, len(encoded.parts)) == (2, 64, 2)


def test_a_call_without_rows_is_opaque() -> None:
    encoded = CallEncoder().encode(spec(), (np.zeros((0, 3)),), {})
    assert parse_record(encoded.key, CallKey).mode == OPAQUE
    assert (encoded.rows, encoded.pickled) == (1, True)


def test_another_axis_counts_its_rows() -> None:
    encoder = CallEncoder()
    for array in (np.ones((3, 5)), np.array([[None] * 5] * 3)):
        encoded = encoder.encode(spec(1), (array,), {})
        assert encoded.rows == 5
        assert parse_record(encoded.key, CallKey).arguments[0].shape == (3,)


@pytest.mark.parametrize(
    "value", [np.ones(3), [1, 2], frame(a=[1])], ids=["too flat", "list", "frame"]
)
def test_a_value_without_that_axis_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="has its rows on axis 1, but was given"):
        CallEncoder().encode(spec(1), (value,), {})


def test_arguments_must_agree_in_rows() -> None:
    with pytest.raises(UsageError, match=r"differ in rows: \{0: 2, 'w': 3\}"):
        CallEncoder().encode(spec(), (np.ones(2),), {"w": np.ones(3)})


class Broken:
    def __reduce__(self) -> Any:
        raise ValueError("not me")


@pytest.mark.parametrize(
    ("args", "batchable"),
    [((Broken(),), False), (([Broken()],), True), ((np.ones(2), Broken()), True)],
    ids=["whole", "rows", "constant"],
)
def test_arguments_that_do_not_pickle_are_a_usage_error(
    args: tuple[Any, ...], batchable: bool
) -> None:
    with pytest.raises(UsageError, match="cannot be sent to its runner: not me"):
        CallEncoder().encode(spec(batchable=batchable), args, {})


def test_the_cache_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.ipc.call._KEYS_KEPT", 3)
    encoder = CallEncoder()
    for width in range(10):
        first = encoder.encode(spec(), (np.ones((1, width + 1)),), {})
        again = encoder.encode(spec(), (np.ones((1, width + 1)),), {})
        assert first.key == again.key
        assert len(encoder._keys) <= 3


def test_large_arrays_travel_as_views() -> None:
    small, large = np.ones(10), np.ones(10_000)
    assert isinstance(raw_bytes(small), bytes)
    view = raw_bytes(large)
    assert isinstance(view, memoryview)
    assert (len(view), view.itemsize) == (80_000, 1)
    assert bytes(view) == large.tobytes()
    assert bytes(raw_bytes(large[::-2])) == large[::-2].tobytes()


def test_bytes_that_are_not_a_key_are_a_wire_error() -> None:
    with pytest.raises(WireError, match="a CallKey does not parse"):
        parse_record(b"\xff", CallKey)


@pytest.mark.parametrize("dtype", ["O", "O8", "", ",", "V4", "S0", "i4,f8", "?x", "T"])
def test_only_raw_dtypes_are_decoded(dtype: str) -> None:
    with pytest.raises(WireError):
        raw_dtype(dtype)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # NumPy's, of old names
@given(st.text(max_size=5))
@example("a5")
def test_any_text_is_a_dtype_or_a_wire_error(text: str) -> None:
    try:
        dtype = raw_dtype(text)
    except WireError:
        return
    assert kind_of(np.empty(1, dtype)) == "array"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.ones(2), "array"),
        (np.array(1.0), None),
        (np.float64(1), None),
        (np.array(["x"], "T"), "objects"),
        ([1], "list"),
        ((1,), "tuple"),
        ({"a": 1}, "dict"),
        ("text", None),
        (b"bytes", None),
        (None, None),
        (datetime.date.min, None),
        (pd.DataFrame(), "frame"),
        (pd.Series([1]), "frame"),
        (pd.Timestamp(0), None),
        (scipy.sparse.eye(3), "sparse"),
    ],
    ids=repr,
)
def test_the_kind_of_a_value(value: Any, kind: str | None) -> None:
    assert kind_of(value) == kind


def test_keys_of_different_modes_differ() -> None:
    assert CallKey("a", ARRAYS) != CallKey("a", OPAQUE)
