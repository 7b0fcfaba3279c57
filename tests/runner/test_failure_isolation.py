"""A call on which the model fails fails alone, and is recognised when it returns."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from headway.errors import ModelCallError, OutputError
from headway.metrics import MetricsRegistry
from headway.runner.batch import Answers, Failure
from headway.runner.executor import FailureIsolation
from tests.ipc.round_trip import (
    Arguments,
    Named,
    Recorder,
    answers_of,
    arrays,
    encode,
    group,
    isolate,
    raised,
    run,
    spec,
    take,
)
from tests.metrics.samples import samples_of

SPECS = {"predict": spec()}


class Runner:
    """A model whose calls are recorded, in a time that the test owns."""

    def __init__(self, model: Callable[[Any], Any]) -> None:
        self.at = 0.0
        self.sizes: list[int] = []
        self._model = model
        self.registry = MetricsRegistry(None)
        self.registry.start()
        self._isolation = FailureIsolation(
            runner="model",
            runnable=Named(predict=self._predict),
            specs=SPECS,
            registry=self.registry,
            clock=self,
        )

    def now(self) -> float:
        return self.at

    def _predict(self, rows: Any) -> Any:
        self.sizes.append(len(rows))
        return self._model(rows)

    def batch(self, calls: list[Arguments]) -> list[Any]:
        """Return each call's result or error; all of them are one batch."""
        self.sizes.clear()
        encoded = encode(SPECS["predict"], calls)
        channel, answers = Recorder(), Answers()
        batch = take(group(encoded, channel), 10_000)
        answers.add(batch, self._isolation.compute(batch))
        answers.flush()
        return answers_of(channel, encoded)

    def ask(self, *values: float) -> list[float | None]:
        """Return the answers to calls of one number each; None is an error."""
        return [
            None if isinstance(answer, ModelCallError) else answer.item()
            for answer in self.batch(arrays(*([value] for value in values)))
        ]


def refuse_negative(x: Any) -> Any:
    values = np.asarray(x, dtype="f8")
    if (values < 0).any():
        raise ValueError("the secret of the model")
    return values * 2


@given(
    st.lists(
        st.lists(st.integers(-1, 9), min_size=1, max_size=6), min_size=1, max_size=12
    ),
    st.sampled_from(["arrays", "lists"]),
    st.integers(1, 20),
)
def test_only_calls_with_bad_rows_fail(
    calls: list[list[int]], kind: str, max_rows: int
) -> None:
    given_: list[Arguments] = [
        ((np.array(call, "f8") if kind == "arrays" else call,), {}) for call in calls
    ]
    for call, answer in zip(
        calls, run(refuse_negative, given_, max_rows=max_rows), strict=True
    ):
        if min(call) < 0:
            assert isinstance(raised(answer), ModelCallError)
        else:
            assert answer.tolist() == [2 * value for value in call]


def test_an_error_has_an_id_and_the_traceback_stays_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = run(refuse_negative, arrays([1], [-1], [2], [-3]))
    errors = [raised(answers[1]), raised(answers[3])]
    assert errors[0].error_id != errors[1].error_id
    for error in errors:
        assert error.error_id
        assert error.error_id in error.message
        assert "secret" not in error.message
        (record,) = [r for r in caplog.records if error.error_id in r.getMessage()]
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert "the secret of the model" in str(record.exc_info[1])


def test_changes_of_arguments_before_a_failure_are_undone() -> None:
    def pop(rows: list[dict[str, int]]) -> list[int]:
        # Takes the rows apart, as many do, before it meets the bad one.
        values = [row.pop("x") for row in rows]
        if -1 in values:
            raise ValueError("negative")
        return values

    calls: list[Arguments] = [(([{"x": 1}],), {}), (([{"x": -1}],), {})] * 2
    answers = run(pop, calls)
    assert [answers[0], answers[2]] == [[1], [1]]
    assert isinstance(answers[1], ModelCallError)


def test_changes_of_arrays_before_a_failure_are_undone() -> None:
    def overwrite(x: Any) -> Any:
        bad = (x < 0).any()
        x += 100
        if bad:
            raise ValueError("negative")
        return x

    answers = run(overwrite, arrays([1], [-1]))
    assert answers[0].tolist() == [101]


def test_a_whole_call_fails_alone() -> None:
    def fail(*args: Any) -> None:
        raise KeyError("missing")

    (answer,) = run(fail, [(("a",), {})], method=spec(batchable=False))
    assert isinstance(raised(answer), ModelCallError)


def test_an_unknown_method_is_the_models_failure() -> None:
    encoded = encode(spec(), arrays([1.0]))
    batch = take(group(encoded, Recorder()), 10)
    (outcome,) = isolate(Named(), SPECS).compute(batch)
    assert isinstance(outcome, Failure)


def test_a_call_that_failed_recently_is_computed_apart() -> None:
    runner = Runner(refuse_negative)
    assert runner.ask(1, -1, 2, 3) == [2, None, 4, 6]
    assert runner.sizes == [4, 2, 1, 1, 2]
    assert runner.ask(4, 5, -1, 6) == [8, 10, None, 12]
    assert runner.sizes == [3, 1]
    assert runner.ask(4, -2) == [8, None], "another one is not"
    assert runner.sizes == [2, 1, 1]


def test_a_call_that_failed_as_a_batch_of_one_is_remembered_too() -> None:
    runner = Runner(refuse_negative)
    assert runner.ask(-1) == [None]
    assert runner.ask(4, -1, 6) == [8, None, 12]
    assert runner.sizes == [2, 1]
    assert runner.ask(-1, -1) == [None, None]
    assert runner.sizes == [1, 1]


def test_a_failure_is_forgotten_after_a_minute() -> None:
    runner = Runner(refuse_negative)
    runner.ask(-1)
    runner.at += 60.0
    assert runner.ask(1, -1) == [2, None]
    assert runner.sizes == [2, 1, 1]


def test_a_success_clears_the_failure() -> None:
    is_broken = True

    def model(rows: Any) -> Any:
        return refuse_negative(rows) if is_broken else rows * 2

    runner = Runner(model)
    assert runner.ask(-1) == [None]
    is_broken = False
    assert runner.ask(-1, 5, 6) == [-2, 10, 12]
    assert runner.sizes == [2, 1]
    assert runner.ask(-1, 5) == [-2, 10]
    assert runner.sizes == [2]


def test_the_failures_kept_are_bounded() -> None:
    runner = Runner(refuse_negative)
    values = [-1.0 - value for value in range(1025)]
    for value in values:
        assert runner.ask(value) == [None]
    assert runner.ask(values[0], 1, values[1], 2) == [None, 2, None, 4]
    assert runner.sizes[0] == 3, "only the oldest was dropped"


class Panic(BaseException):
    """What libraries in Rust raise: no Exception."""


@pytest.mark.parametrize(
    "error",
    [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Panic],
)
def test_whatever_a_model_raises_is_the_error_of_its_call(
    error: type[BaseException],
) -> None:
    def model(rows: Any) -> Any:
        if (rows < 0).any():
            raise error
        return rows * 2

    runner = Runner(model)
    for sizes in ([4, 2, 1, 1], [3, 1]):
        assert runner.ask(1, 2, -1, 3) == [2, 4, None, 6]
        assert runner.sizes == sizes


def test_repeated_calls_of_the_model_are_counted() -> None:
    runner = Runner(refuse_negative)

    def counted() -> int:
        return sum(
            int(sample.value)
            for sample in samples_of(runner.registry)
            if sample.family.name == "headway_isolation_calls_total"
        )

    runner.ask(1, 2)
    runner.ask(-1)
    assert counted() == 0
    runner.ask(1, -1, 2)
    assert counted() == 1


def drop_negative(rows: Any) -> Any:
    return rows[rows >= 0] * 2


def test_a_call_with_too_few_rows_fails_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = Runner(drop_negative)
    for sizes in ([3, 1, 1, 1], [2, 1]):
        answers = runner.batch(arrays([1], [2], [-1]))
        assert [answers[0].item(), answers[1].item()] == [2, 4]
        assert isinstance(answers[2], OutputError)
        assert answers[2].message in caplog.text
        assert runner.sizes == sizes


def test_lists_are_recognised_too() -> None:
    runner = Runner(refuse_negative)
    calls: list[Arguments] = [(([1],), {}), (([-1],), {}), (([2, 3],), {})]
    for sizes in ([4, 1, 1, 2], [3, 1]):
        answers = runner.batch(calls)
        assert isinstance(answers[1], ModelCallError)
        assert [answers[0].tolist(), answers[2].tolist()] == [[2], [4, 6]]
        assert runner.sizes == sizes


@given(
    st.lists(
        st.lists(st.integers(-9, 9), min_size=1, max_size=40), min_size=1, max_size=6
    ),
    st.integers(1, 41),
)
def test_answers_are_right_and_n_calls_cost_less_than_2n(
    batches: list[list[int]], largest: int
) -> None:
    """Also if the model fails on every batch above a size."""

    def model(rows: Any) -> Any:
        if len(rows) > largest:
            raise MemoryError
        return refuse_negative(rows)

    runner = Runner(model)
    for values in batches:
        assert runner.ask(*values) == [
            None if value < 0 else 2 * value for value in values
        ]
        assert len(runner.sizes) < 2 * len(values)


@pytest.mark.parametrize("bad", [np.inf, 1e300])
@pytest.mark.parametrize(
    "model", [RandomForestClassifier(5), LogisticRegression(max_iter=1000)]
)
def test_scikit_learn_refuses_one_flower(model: Any, bad: float) -> None:
    flowers, classes = load_iris(return_X_y=True)
    model.fit(flowers, classes)
    runner = Runner(model.predict)
    expected = model.predict(flowers[:99]).tolist()
    calls: list[Arguments] = [((flower[None],), {}) for flower in flowers[:99]]
    poison = np.full((1, 4), bad)
    is_refused = isinstance(model, RandomForestClassifier) or bad == np.inf
    for _ in range(3):
        *answers, last = runner.batch([*calls, ((poison,), {})])
        assert [answer.item() for answer in answers] == expected
        assert isinstance(last, ModelCallError) == is_refused
    assert runner.sizes == ([99, 1] if is_refused else [100])


def test_a_method_whose_batches_are_useless_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each call alone has one row, so that no caller would ever see an error."""
    runner = Runner(lambda rows: rows[:1])
    for _ in range(2):
        assert runner.ask(1.0, 2.0, 3.0) == [1.0, 2.0, 3.0]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "a batch is computed again in parts: method 'predict' returned ndarray with 1 "
        "rows along batch_dim 0 for a batch of 3: a batchable method returns one row "
        "for each row that it gets; set batch_dim to the axis of the rows, or "
        "batchable=False (`headway check` tries a service's methods on batches)"
    )


def test_an_output_error_of_the_model_whose_message_is_no_text_is_an_answer() -> None:
    def model(rows: Any) -> Any:
        raise OutputError(("no", "text"))  # type: ignore[arg-type]  # a user's mistake

    for answer in Runner(model).batch(arrays([1.0], [2.0])):
        assert isinstance(answer, OutputError)
        assert answer.message == "('no', 'text')"
