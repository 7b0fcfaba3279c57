"""A batch isolates what fails, and hides a model's inside from its callers."""

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import ModelCallError, WireError
from headway.payload.call import ARRAYS, OPAQUE, PICKLED, ArgumentSpec, CallKey
from headway.runner.answers import Answers
from headway.runner.batch import Batch, CohortLoad, Failure, Success
from headway.wire import CallsFrame
from tests.payload.hop import (
    FACTS,
    Arguments,
    Named,
    Recorder,
    answers_of,
    cohort,
    encode,
    isolate,
    raised,
    run,
    spec,
    take,
)

SPECS = {"predict": spec()}


def refuse_negative(x: Any) -> Any:
    values = np.asarray(x, dtype="f8")
    if (values < 0).any():
        raise ValueError("the secret of the model")
    return values * 2


def arrays(*calls: list[float]) -> list[Arguments]:
    return [((np.array(call, "f8"),), {}) for call in calls]


@given(
    st.lists(
        st.lists(st.integers(-1, 9), min_size=1, max_size=6), min_size=1, max_size=12
    ),
    st.sampled_from(["arrays", "lists"]),
    st.integers(1, 20),
)
def test_only_those_with_bad_rows_fail(
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


def test_the_search_for_the_bad_one_is_a_bisection() -> None:
    seen: list[int] = []

    def model(x: Any) -> Any:
        seen.append(len(x))
        return refuse_negative(x)

    run(model, arrays(*[[1.0]] * 13, [-1.0], [1.0], [1.0]))
    assert len(seen) <= 2 * 4 + 1


def test_what_a_model_did_before_it_raised_is_undone() -> None:
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


def test_an_array_is_undone_too() -> None:
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
    batch = take(cohort(encoded, Recorder()), 10)
    (outcome,) = isolate(Named(), SPECS).compute(batch)
    assert isinstance(outcome, Failure)


def two_cohorts() -> tuple[Batch, list[Recorder], list[Any]]:
    """Return a batch of three calls of one channel and two of another."""
    channels = [Recorder(), Recorder()]
    encoded = [
        encode(spec(), arrays([0], [1, 2], [3])),
        encode(spec(), arrays([4], [5, 6])),
    ]
    cohorts = [
        cohort(calls, channel) for calls, channel in zip(encoded, channels, strict=True)
    ]
    pieces = [piece for one in cohorts for piece in one.take(100)]
    return Batch(pieces=pieces, rows=7), channels, encoded


def test_answers_find_their_channels() -> None:
    batch, channels, encoded = two_cohorts()
    answers = Answers()
    model = Named(predict=lambda x: x + 10)
    answers.add(isolate(model, SPECS).compute(batch), FACTS)
    answers.flush()
    answers.flush()  # has nothing more to send
    assert [a.tolist() for a in answers_of(channels[0], encoded[0])] == [
        [10],
        [11, 12],
        [13],
    ]
    assert [a.tolist() for a in answers_of(channels[1], encoded[1])] == [[14], [15, 16]]
    assert [len(channel.sent) for channel in channels] == [1, 1]


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_part_of_a_batch_is_its_calls(first: int, end: int) -> None:
    batch, _, _ = two_cohorts()
    part = batch.part(first, end)
    rows = [1, 2, 1, 1, 2][first:end]
    assert part.call_rows() == rows
    assert part.calls == part.answered == len(rows)
    assert part.rows == sum(rows)
    if rows:
        (values,), _ = part.arguments(0)
        offsets = [0, 1, 3, 4, 5, 7]
        assert values.tolist() == list(range(offsets[first], offsets[end]))


@pytest.mark.parametrize("value", [[1.0, 2.0, 3.0], np.arange(3.0), {"a": 1}])
def test_a_batch_is_sent_on_as_it_came(value: Any) -> None:
    encoded = encode(spec(), [((value,), {})])
    one = cohort(encoded, Recorder(), max_rows=2)
    if one.alone:
        batches = [take(one, 2)]
    else:
        batches = [take(one, 2), take(one, 2)]
        assert [batch.answered for batch in batches] == [0, 1]
    for batch in batches:
        sizes, parts, nbytes = batch.payload()
        assert nbytes == sum(map(len, parts))
        assert bool(sizes) == encoded[0].pickled
        assert sum(batch.call_rows()) == batch.rows


def load(key: CallKey, **fields: Any) -> CohortLoad:
    frame = CallsFrame(
        **{
            "cohort_id": 1,
            "key": b"",
            "rows": (1, 2),
            "sizes": (),
            "priority": 0,
            "deadline": 1.0,
            "sent_at": 0.0,
            "payload": memoryview(bytes(24)),
            **fields,
        }
    )
    return CohortLoad(channel=Recorder(), cohort_id=1, key=key, frame=frame)


def key(mode: int, dtype: str = "<f8", shape: tuple[int, ...] = ()) -> CallKey:
    return CallKey("predict", mode, (ArgumentSpec(0, "array", dtype, shape),))


def test_a_load_that_fits_is_taken() -> None:
    assert [len(column) for column in load(key(ARRAYS)).columns] == [3]
    assert load(key(PICKLED), sizes=(20, 4)).columns == []


@pytest.mark.parametrize(
    ("key_", "fields"),
    [
        (key(ARRAYS, "<f8", (2,)), {}),
        (key(ARRAYS), {"payload": memoryview(bytes(16))}),
        (key(ARRAYS, "O"), {}),
        (key(ARRAYS, "nonsense"), {}),
        (key(ARRAYS, "<f8", (2**64 - 1,)), {}),
        (key(ARRAYS, "<f8", (2**40, 2**40)), {}),
        (key(PICKLED), {}),
        (key(PICKLED), {"sizes": (1,)}),
        (key(PICKLED), {"sizes": (20, 5)}),
        (key(OPAQUE), {}),
    ],
)
def test_a_load_that_does_not_fit_its_bytes_is_refused(
    key_: CallKey, fields: dict[str, Any]
) -> None:
    with pytest.raises(WireError):
        load(key_, **fields)


def test_outcomes_cover_the_batch() -> None:
    batch, _, _ = two_cohorts()
    model = Named(predict=lambda x: 1 / 0 if 4 in x else x)
    outcomes = isolate(model, SPECS).compute(batch)
    assert sum(isinstance(outcome, Failure) for outcome in outcomes) == 1
    rows = sum(piece.rows for outcome in outcomes for piece in outcome.pieces)
    assert rows == batch.rows
    assert any(isinstance(outcome, Success) for outcome in outcomes)
