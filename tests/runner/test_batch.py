"""A batch is the rows of its calls, however they came, and so is a part of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import WireError
from headway.ipc.records import (
    ARRAYS,
    OPAQUE,
    PICKLED,
    ArgumentSpec,
    CallKey,
    CallsFrame,
)
from headway.runner.batch import Answers, Batch
from headway.runner.receiver import read_columns
from tests.ipc.round_trip import (
    Named,
    Recorder,
    answers_of,
    arrays,
    encode,
    group,
    isolate,
    run,
    spec,
    take,
)

SPECS = {"predict": spec()}


def two_groups() -> tuple[Batch, list[Recorder], list[Any]]:
    """Return a batch of three calls of one channel and two of another."""
    channels = [Recorder(), Recorder()]
    encoded = [
        encode(spec(), arrays([0], [1, 2], [3])),
        encode(spec(), arrays([4], [5, 6])),
    ]
    groups = [
        group(calls, channel) for calls, channel in zip(encoded, channels, strict=True)
    ]
    slices = [part for one in groups for part in one.take(100)]
    return Batch(slices), channels, encoded


def test_answers_find_their_channels() -> None:
    batch, channels, encoded = two_groups()
    answers = Answers()
    model = Named(predict=lambda x: x + 10)
    answers.add(batch, isolate(model, SPECS).compute(batch))
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
def test_part_of_a_batch_has_the_rows_of_its_calls(first: int, end: int) -> None:
    batch, _, _ = two_groups()
    part = batch.part(first, end)
    rows = [1, 2, 1, 1, 2][first:end]
    assert part.call_rows() == rows
    assert part.calls == sum(one.answered for one in part.slices) == len(rows)
    assert part.rows == sum(rows)
    if rows:
        (values,), _ = part.arguments(0)
        offsets = [0, 1, 3, 4, 5, 7]
        assert values.tolist() == list(range(offsets[first], offsets[end]))


@given(st.sets(st.integers(0, 4), min_size=1))
def test_selected_calls_of_a_batch_are_a_batch(calls: set[int]) -> None:
    batch, _, _ = two_groups()
    chosen = batch.select(sorted(calls))
    rows = [[0], [1, 2], [3], [4], [5, 6]]
    (values,), _ = chosen.arguments(0)
    assert values.tolist() == [row for call in sorted(calls) for row in rows[call]]
    assert chosen.rows == len(values)
    assert (chosen is batch) == (len(calls) == 5)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=8), st.booleans())
def test_calls_of_the_same_bytes_have_the_same_digest(
    names: list[str], is_array: bool
) -> None:
    values: dict[str, Any] = {"a": [1.0], "b": [1.0, 1.0]}
    calls = [values[name] for name in names]
    encoded = encode(
        spec(), arrays(*calls) if is_array else [((call,), {}) for call in calls]
    )
    batch = take(group(encoded, Recorder()), 100)
    digests = batch.digests()
    for name, digest in zip(names, digests, strict=True):
        for other, its in zip(names, digests, strict=True):
            assert (name == other) == (digest == its)
    for call, digest in enumerate(digests):
        assert batch.select([call]).digests() == [digest]


def test_calls_of_different_keys_have_different_digests() -> None:
    one, other = (
        take(group(encode(spec(), [((np.zeros(1, dtype),), {})]), Recorder()), 1)
        for dtype in ("f8", "i8")
    )
    assert one.digests() != other.digests()


def test_rows_without_elements_have_a_digest() -> None:
    batch = take(group(encode(spec(), [((np.ones((2, 0)),), {})]), Recorder()), 2)
    assert len(batch.digests()) == 1


@pytest.mark.parametrize("value", [[1.0, 2.0, 3.0], np.arange(3.0), {"a": 1}])
def test_a_batch_is_forwarded_to_a_replica_unchanged(value: Any) -> None:
    encoded = encode(spec(), [((value,), {})])
    one = group(encoded, Recorder(), max_rows=2)
    if one.alone:
        batches = [take(one, 2)]
    else:
        batches = [take(one, 2), take(one, 2)]
        assert [batch.slices[0].answered for batch in batches] == [0, 1]
    for batch in batches:
        sizes, parts, nbytes = batch.payload()
        assert nbytes == sum(map(len, parts))
        assert bool(sizes) == encoded[0].pickled
        assert sum(batch.call_rows()) == batch.rows


def columns(key: CallKey, **fields: Any) -> Sequence[Any]:
    frame = CallsFrame(
        **{
            "group_id": 1,
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
    return read_columns(frame, key)


def key(mode: int, dtype: str = "<f8", shape: tuple[int, ...] = ()) -> CallKey:
    return CallKey("predict", mode, (ArgumentSpec(0, "array", dtype, shape),))


def test_a_payload_that_fits_is_read() -> None:
    assert [len(column) for column in columns(key(ARRAYS))] == [3]
    assert not columns(key(PICKLED), sizes=(20, 4))


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
def test_a_payload_that_does_not_fit_is_refused(
    key_: CallKey, fields: dict[str, Any]
) -> None:
    with pytest.raises(WireError):
        columns(key_, **fields)


@pytest.mark.interpreted
def test_a_result_too_long_for_a_frame_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headway.ipc.frames.MAX_FRAME_BYTES", 1000)
    (answer,) = run(lambda x: np.ones((len(x), 999)), arrays([1]))
    assert isinstance(answer, WireError)
    assert "exceeds 1000" in answer.message
