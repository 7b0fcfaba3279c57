"""Methods that may be batched, and the findings about those that may not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import scale

from headway.core.method_spec import BatchDim, MethodSpec, batch_dims
from headway.service.runnable import Runnable
from headway.tools.check.check import check_method
from headway.tools.check.check_result import SAME_RESULTS, SAME_ROWS, CheckResult
from headway.tools.check.difference import Tolerance

X = np.array([[1.5, 2.0, -3.0]])


def check(
    function: Callable[..., Any],
    *sample: Any,
    batch_dim: BatchDim = 0,
    rows: int = 8,
    rtol: float = 1e-4,
) -> CheckResult:
    class Made(Runnable):
        """Has the function as its method."""

        @Runnable.method(batchable=True, batch_dim=batch_dim)
        def predict(self, *args: Any) -> Any:
            return function(*args)

    spec = MethodSpec("predict", True, batch_dims(batch_dim, where="test"))
    return check_method(
        runnable=Made(),
        spec=spec,
        sample=sample,
        rows=rows,
        tolerance=Tolerance(rtol=rtol, atol=1e-6),
    )


def only(result: CheckResult) -> tuple[str, str]:
    """Return the text and the advice of the only finding."""
    (finding,) = result.findings
    return finding.what, finding.advice


@given(
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", "i8"]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=5),
        elements=st.integers(-50, 50),
    ),
    st.integers(2, 12),
)
def test_row_wise_function_has_no_findings(sample: Any, rows: int) -> None:
    result = check(lambda x: (x * 2 + 1).sum(axis=-1), sample, rows=rows, rtol=1e-2)
    assert result.findings == ()
    assert max(result.batches) == rows
    assert rows == 2 or len(result.batches) > 1


def test_random_forest_has_no_findings() -> None:
    rows = np.random.default_rng(7).normal(size=(100, 3))
    forest = RandomForestClassifier(n_estimators=5, random_state=1)
    forest.fit(rows, rows[:, 0] > 0)
    result = check(forest.predict_proba, rows[:3])
    assert result == CheckResult(
        rows="8 rows (3 of the sample, 5 with its floats changed by up to half)",
        batches=(3, 5, 8),
    )


FRAME = pd.DataFrame(
    {"a": [1.5], "b": ["x"], "c": [2], "d": pd.array([0.5], "Float64")}
)


@pytest.mark.parametrize(
    ("function", "sample"),
    [
        (lambda x: x.assign(e=x.a * 2, f=x.b + "y"), FRAME),
        (lambda x: x.a + x.d, FRAME),
        (lambda x: x * 2, pd.Series([1.5], name="a")),
        (lambda x: x * 2, scipy.sparse.csr_matrix(X)),
        (
            lambda x: [{"sum": sum(row["all"])} for row in x],
            [{"all": [1.0, 2.0]}],
        ),
        (lambda x: (x[:, 0], {"rest": list(x[:, 1:])}), X),
        (lambda x: [(one, str(one)) for one in x], [(1.5, "a")]),
    ],
)
def test_containers_of_rows_are_varied(function: Any, sample: Any) -> None:
    result = check(function, sample)
    assert (result.findings, result.notes) == ((), ())
    assert "7 with its floats changed" in result.rows


def test_batch_dim_and_arguments_without_rows() -> None:
    seen = set()

    def model(x: Any, y: Any, factor: float, options: dict[str, int]) -> Any:
        seen.add((x.shape, y.shape, factor, options["a"]))
        return (x + y).T * factor

    args = (np.ones((3, 1)), np.zeros((3, 1)), 2.0, {"a": 1})
    result = check(model, *args, batch_dim=(1, 0), rows=4)
    assert result.findings == ()
    assert seen == {((3, n), (3, n), 2.0, 1) for n in (1, 3, 4)}


@pytest.mark.parametrize(
    "function", [scale, lambda x: x - x[0], lambda x: np.cumsum(x, axis=0)]
)
def test_dependent_rows_are_found(function: Any) -> None:
    what, advice = only(check(function, X))
    assert " of 8 rows got another result, such as row " in what
    assert " alone, " in what
    assert " in a batch of " in what
    assert "depends on the other rows" in advice


def test_dependent_labels_are_found() -> None:
    def above_the_mean(x: Any) -> list[str]:
        return ["high" if high else "low" for high in x[:, 0] > x[:, 0].mean()]

    what, advice = only(check(above_the_mean, X))
    assert "'low' alone, 'high' in a batch of 8 rows" in what
    assert "depends on the other rows" in advice


def test_mixed_up_rows_are_found() -> None:
    what, advice = only(check(lambda x: np.sort(x, axis=0), X[:, :1]))
    assert "got another result" in what
    assert "results of other rows" in advice


def test_padded_rows_are_found() -> None:
    def pad(rows: list[list[float]]) -> list[list[float]]:
        longest = max(map(len, rows))
        return [row + [0.0] * (longest - len(row)) for row in rows]

    what, advice = only(check(pad, [[1.0], [2.0, 3.0]]))
    assert "1 values alone, 2 values in a batch of 8 rows" in what
    assert "padding to the longest" in advice


def test_rounding_suggests_a_tolerance() -> None:
    def rounds(x: Any) -> Any:
        return x * (1 + 3e-4 * (len(x) > 1))

    _, advice = only(check(rounds, X))
    assert "--rtol" in advice
    assert check(rounds, X, rtol=1e-3).findings == ()


@pytest.mark.parametrize(
    ("function", "batch_dim", "what", "advice"),
    [
        (
            lambda x: x[:1],
            0,
            "a batch of 8 rows gave an output with 1 along batch_dim 0: ndarray of "
            "shape (1, 3)",
            "a batchable method returns one row for each input row",
        ),
        (
            np.transpose,
            0,
            "a batch of 8 rows gave an output with 3 along batch_dim 0: ndarray of "
            "shape (3, 8)",
            "declare batch_dim=(0, 1)",
        ),
        (
            lambda x: x,
            (0, 1),
            "a batch of 8 rows gave an output with 3 along batch_dim 1: ndarray of "
            "shape (8, 3)",
            "declare batch_dim=(0, 0)",
        ),
        (
            np.sum,
            0,
            "a batch of 8 rows gave an output with no rows along batch_dim 0: float64",
            "a batchable method returns one row for each input row",
        ),
        (
            lambda x: {"a": list(x), "b": [1]},
            0,
            "a batch of 8 rows gave an output with no rows along batch_dim 0: dict",
            "a batchable method returns one row for each input row",
        ),
    ],
)
def test_wrong_number_of_output_rows_is_found(
    function: Any, batch_dim: BatchDim, what: str, advice: str
) -> None:
    found = only(check(function, X, batch_dim=batch_dim))
    assert found[0] == what
    assert found[1].startswith(advice)


def test_random_model_is_found() -> None:
    generator = np.random.default_rng()
    what, advice = only(check(lambda x: generator.normal(size=len(x)), X))
    assert what.startswith("row 1 alone gave ")
    assert "the model is random" in advice
    # Its rows are still counted.
    result = check(lambda x: generator.normal(size=1), X)
    assert len(result.findings) == 2
    assert "with 1 along batch_dim 0" in result.findings[1].what


def test_changed_arguments_are_noted() -> None:
    def double(x: Any) -> Any:
        x *= 2
        return x

    def pop(rows: list[dict[str, float]]) -> list[float]:
        return [row.pop("a") for row in rows]

    for result in (check(double, X), check(pop, [{"a": 1.5}])):
        assert result.findings == ()
        (note,) = result.notes
        assert "changes its arguments in place" in note


def test_reused_output_buffer_has_no_findings() -> None:
    """As in production, where a result is sent before the next call."""
    buffer = np.empty((8, 3))

    def reuse(x: Any) -> Any:
        np.multiply(x, 2, out=buffer[: len(x)])
        return buffer[: len(x)]

    assert check(reuse, X).findings == ()


def refuse_negative(x: Any) -> Any:
    if (x < 0).any():
        raise ValueError("negative")
    return x


def test_sample_row_that_raises_is_found() -> None:
    result = check(refuse_negative, np.array([[1.0], [-1.0], [2.0]]), rows=4)
    assert only(result)[0] == "row 2 alone raised ValueError: negative"
    assert result.rows == (
        "4 rows (2 of the sample, 1 with its floats changed by up to half, 1 repeated)"
    )
    nothing = check(refuse_negative, np.array([[-1.0]]))
    assert only(nothing)[0] == "row 1 alone raised ValueError: negative"
    assert nothing.batches == ()


def test_refused_changed_rows_are_left_out() -> None:
    def probabilities(x: Any) -> Any:
        if (x > 1).any():
            raise ValueError("no probability")
        return x

    result = check(probabilities, np.array([[0.95]]))
    assert result.findings == ()
    (note,) = result.notes
    assert "refused" in note
    assert "repeated" in result.rows
    whole = check(lambda x: refuse_negative(-np.abs(x - 1.0)), np.array([[1.0]]))
    assert SAME_ROWS in whole.notes


def test_batch_that_raises_is_found() -> None:
    def single(x: Any) -> Any:
        (row,) = x
        return [row]

    what, advice = only(check(single, X))
    assert what.startswith("a batch of 8 rows raised ValueError: too many values")
    assert "batchable=False" in advice


def test_unsendable_result_is_found() -> None:
    what, advice = only(check(lambda x: [(one for one in x)] * len(x), X))
    assert what == "row 1 alone gave an output that cannot be sent"
    assert "the model's result cannot be sent back" in advice


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ((np.ones(3),), "has its rows on axis 1, but was given ndarray (3,)"),
        ((np.ones((2, 1)), np.ones((2, 2))), "differ in rows"),
        ((np.ones((2, 1)), lambda: None), "cannot be sent to its runner"),
    ],
)
def test_unsendable_sample_is_found(sample: Any, says: str) -> None:
    assert says in only(check(lambda x, *_: x, *sample, batch_dim=1))[0]


def test_sample_without_rows_is_skipped() -> None:
    assert "has no rows" in check(len, "text").skipped


@pytest.mark.parametrize(
    ("sample", "function", "note"),
    [
        ([3], lambda x: x, SAME_ROWS),
        ([{"text": "a"}], lambda x: x, SAME_ROWS),
        (np.array([[1, 2]]), lambda x: x, SAME_ROWS),
        (X, lambda x: np.ones(len(x)), SAME_RESULTS),
    ],
)
def test_limits_of_the_check_are_noted(sample: Any, function: Any, note: str) -> None:
    result = check(function, sample)
    assert (result.findings, result.notes) == ((), (note,))
