"""Comparison of values in any container; numbers within a tolerance."""

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headway.tools.check.difference import (
    EXACT,
    Difference,
    Tolerance,
    difference,
    only_row,
)

LOOSE = Tolerance(rtol=1e-3, atol=1e-6)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=2, max_side=3)),
    lambda some: st.lists(some) | st.tuples(some) | st.dictionaries(st.text(), some),
    max_leaves=10,
)


@given(values, st.sampled_from([EXACT, LOOSE]))
def test_value_equals_itself(value: Any, tolerance: Tolerance) -> None:
    assert difference(value, value, tolerance) is None


@given(
    hnp.arrays("f8", (3, 4), elements=st.floats(-1e6, 1e6)),
    st.tuples(st.integers(0, 2), st.integers(0, 3)),
    st.floats(-1e3, 1e3),
)
def test_largest_difference_of_an_array_is_found(
    array: Any, place: tuple[int, int], change: float
) -> None:
    found = array.copy()
    found[place] += change
    apart = abs(found[place] - array[place])
    limit = LOOSE.atol + LOOSE.rtol * abs(array[place])
    assume(not math.isclose(apart, limit))
    inside = difference(array, found, LOOSE)
    if apart <= limit:
        assert inside is None
    else:
        assert inside == Difference(
            f"[{place[0]}, {place[1]}]",
            str(array[place]),
            str(found[place]),
            apart,
        )


@dataclass
class Score:
    value: float


class Plain:
    """Has no equality of its own."""

    def __init__(self, value: float) -> None:
        self.value = value


class Hostile:
    """Raises when compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise TypeError("no comparison")

    __hash__ = None  # type: ignore[assignment]  # as in any class with __eq__ only


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1.0, 1.0001),
        (1, 1.0),
        (1 + 1j, 1.0001 + 1j),
        (np.float32(1), 1.0),
        (math.nan, np.float64("nan")),
        (math.inf, math.inf),
        (np.array([1.0, np.nan]), np.array([1.0001, np.nan])),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.array(["a"]), np.array(["a"], dtype="U9")),
        (np.array([1.0, "a"], object), np.array([1.0001, "a"], object)),
        (
            np.ma.array([1.0, 2.0], mask=[False, True]),
            np.ma.array([1.0, 3.0], mask=[False, True]),
        ),
        (np.datetime64("NaT"), np.datetime64("NaT")),
        (pd.NA, pd.NA),
        (Score(1.0), Score(1.0001)),
        (Plain(1.0), Plain(1.0001)),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0001]})),
        (scipy.sparse.csr_matrix([[0, 1.0]]), scipy.sparse.csc_matrix([[0, 1.0001]])),
    ],
)
def test_values_within_tolerance_are_equal(left: Any, right: Any) -> None:
    assert difference(left, right, LOOSE) is None
    assert difference({"x": [left]}, {"x": [right]}, LOOSE) is None


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1.0, 1.5, Difference("", "1.0", "1.5", 0.5)),
        (1, 2, Difference("", "1", "2", 1.0)),
        (True, False, Difference("", "True", "False", 1.0)),
        (1.0, math.nan, Difference("", "1.0", "nan", math.inf)),
        (math.inf, -math.inf, Difference("", "inf", "-inf", math.inf)),
        (10**30, 10**30 + 1, Difference("", f"{10**30}", f"{10**30 + 1}")),
        ("a", "b", Difference("", "'a'", "'b'")),
        ("a", 1, Difference("", "a str", "a int")),
        ([1, [2, "a"]], [1, [2, "b"]], Difference("[1][1]", "'a'", "'b'")),
        ([1], [1, 2], Difference("", "1 values", "2 values", is_shape=True)),
        ((1,), [1], Difference("", "a tuple", "a list")),
        ({"a": 1}, {"b": 1}, Difference("", "keys ['a']", "keys ['b']")),
        ({"a": Fraction(1, 2)}, {"a": Fraction(1, 3)}, "['a']"),
        (Score(1.0), Score(2.0), Difference("['value']", "1.0", "2.0", 1.0)),
        (Hostile(), Hostile(), ""),
        (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), ""),
        (
            np.ones((2, 1)),
            np.ones((1, 2)),
            Difference(
                "",
                "an array of shape (2, 1)",
                "an array of shape (1, 2)",
                is_shape=True,
            ),
        ),
        (np.array(["a", "b"]), np.array(["a", "c"]), Difference("[1]", "'b'", "'c'")),
        (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]}), "['a'][0]"),
    ],
)
def test_difference_names_the_place(left: Any, right: Any, expected: Any) -> None:
    found = difference(left, right, LOOSE)
    assert found is not None
    assert (found.where if isinstance(expected, str) else found) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: np.array([[1.0, 2.0]]), [1.0, 2.0]),
        (lambda: ["a"], "a"),
        (lambda: (["a"], {"b": [1]}), ("a", {"b": 1})),
        (lambda: pd.DataFrame({"a": [1], "b": ["x"]}), {"a": 1, "b": "x"}),
        (lambda: pd.Series([2.5]), 2.5),
        (lambda: scipy.sparse.csr_matrix([[0, 1.0]]), [0.0, 1.0]),
    ],
)
def test_only_row_of_a_container(make: Callable[[], Any], expected: Any) -> None:
    row = only_row(make())
    assert (row.tolist() if isinstance(row, np.ndarray) else row) == expected
