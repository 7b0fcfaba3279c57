"""Rows made from a sample differ from it in their floats only."""

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headway.tools.check.difference import EXACT, difference
from headway.tools.check.sample_rows import split, variants

elements = st.floats(-1e6, 1e6, allow_subnormal=False, width=32)


@given(
    hnp.arrays("f4", hnp.array_shapes(min_dims=2, max_dims=2), elements=elements),
    st.integers(0, 9),
)
def test_floats_change_by_at_most_half_and_keep_their_sign(
    sample: Any, count: int
) -> None:
    given_rows = split([sample], len(sample))
    made = variants(given_rows, count)
    assert len(made) == count
    for number, (row,) in enumerate(made):
        (original,) = given_rows[number % len(given_rows)]
        assert (row.shape, row.dtype) == (original.shape, original.dtype)
        change = np.abs(row.astype("f8") - original)
        assert (change <= 0.5001 * np.maximum(np.abs(original), original == 0)).all()
        assert (np.sign(row) == np.sign(original) + (original == 0)).all()


def test_other_values_stay() -> None:
    frame = pd.DataFrame(
        {
            "float": [1.5],
            "none": [math.nan],
            "whole": [2],
            "text": ["a"],
            "nullable": pd.array([0.5], "Float64"),
            "kind": pd.Categorical(["a"]),
        }
    )
    rows: list[Any] = [(frame, [{"a": 1.5, "b": [1, "x", (2.5,)]}], np.array([["a"]]))]
    ((changed, listed, texts),) = variants(rows, 1)
    assert changed.dtypes.equals(frame.dtypes)
    differ = [
        name
        for name in frame
        if difference(frame[name], changed[name], EXACT) is not None
    ]
    assert differ == ["float", "nullable"]
    (entry,) = listed
    assert entry["a"] != 1.5
    assert entry["b"][:2] == [1, "x"]
    assert entry["b"][2] != (2.5,)
    assert texts.tolist() == [["a"]]


def test_zeros_of_a_sparse_matrix_stay() -> None:
    sample = scipy.sparse.csr_matrix([[0.0, 2.0, 0.0]])
    ((changed,),) = variants([(sample,)], 1)
    assert changed.nnz == 1
    assert changed[0, 1] not in (0.0, 2.0)
    assert sample[0, 1] == 2.0


def test_infinity_stays() -> None:
    sample = np.array([[math.inf, -math.inf, math.nan, 1.0]])
    ((changed,),) = variants([(sample,)], 1)
    assert changed[0, :2].tolist() == [math.inf, -math.inf]
    assert math.isnan(changed[0, 2])


def test_rows_without_floats_have_no_variants() -> None:
    assert variants([(np.array([[1, 2]]),), (["a"],)], 4) == []


def test_variants_are_reproducible() -> None:
    rows: list[Any] = [(np.array([[1.0, 2.0]]),)]
    first, second = variants(rows, 3), variants(rows, 3)
    assert difference(first, second, EXACT) is None
