"""A round trip without sockets: calls are encoded, batched, computed and answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.errors import HeadwayError
from headway.ipc.call import CallEncoder, EncodedCall
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    RESULTS,
    Buffer,
    decode_calls,
    decode_record,
    decode_results_frame,
    encode_calls,
    kind_of_frame,
    parse_record,
)
from headway.ipc.records import OPAQUE, CallKey, FailureFrame, error_of
from headway.ipc.rows import decode_results
from headway.metrics import MetricsRegistry
from headway.runner.batch import Answers, Batch
from headway.runner.executor import FailureIsolation
from headway.runner.receiver import read_columns
from headway.scheduling.queue import CallGroup

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Model = Callable[..., Any]


class Recorder:
    """A channel that records everything sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, buffers: Sequence[Buffer]) -> None:
        self.sent.append(b"".join(buffers))

    def close(self) -> None: ...

    def frames(self) -> list[memoryview]:
        frames, stream = [], memoryview(b"".join(self.sent))
        while stream:
            length = int.from_bytes(stream[:4], "little")
            frames.append(stream[:length])
            stream = stream[length:]
        return frames


class Named:
    """A runnable of one function under any name."""

    def __init__(self, **methods: Model) -> None:
        self.__dict__.update(methods)


def arrays(*calls: Sequence[float]) -> list[Arguments]:
    return [((np.array(call, "f8"),), {}) for call in calls]


def isolate(runnable: object, specs: Mapping[str, MethodSpec]) -> FailureIsolation:
    """Return a FailureIsolation with a registry of its own."""
    registry = MetricsRegistry(None)
    registry.start()
    return FailureIsolation(
        runner="model",
        runnable=runnable,
        specs=specs,
        registry=registry,
        clock=MonotonicClock(),
    )


def spec(axis: int | tuple[int, int] = 0, *, batchable: bool = True) -> MethodSpec:
    dims = axis if isinstance(axis, tuple) else (axis, axis)
    return MethodSpec("predict", batchable=batchable, batch_dim=dims)


def encode(method: MethodSpec, calls: Sequence[Arguments]) -> list[EncodedCall]:
    encoder = CallEncoder()
    return [encoder.encode(method, args, kwargs) for args, kwargs in calls]


def group(
    encoded: Sequence[EncodedCall],
    channel: Channel,
    *,
    number: int = 1,
    max_rows: int = 10_000,
    due: float = 1e9,
) -> CallGroup:
    """Return calls of one key as the inbox makes them of a frame."""
    first = encoded[0]
    parts = [
        call.parts[column] for column in range(len(first.parts)) for call in encoded
    ]
    frame = b"".join(
        encode_calls(
            group_id=number,
            key=first.key,
            rows=[call.rows for call in encoded],
            sizes=[call.nbytes for call in encoded] if first.pickled else (),
            parts=parts,
            payload_bytes=sum(call.nbytes for call in encoded),
            priority=0,
            deadline=due,
            sent_at=0.0,
        )
    )
    calls = decode_calls(memoryview(frame))
    key = parse_record(calls.key, CallKey)
    made = CallGroup(
        frame=calls,
        call_key=key,
        channel=channel,
        due=due,
        max_rows=max_rows,
        alone=key.mode == OPAQUE,
    )
    made.columns = read_columns(calls, key)
    return made


def take(one: CallGroup, most: int) -> Batch:
    return Batch(one.take(most))


def group_of(frame: memoryview) -> int:
    """Return the id of the group that a RESULTS or FAILURE frame answers."""
    if kind_of_frame(frame) == RESULTS:
        return decode_results_frame(frame).group_id
    return decode_record(frame, FailureFrame).group_id


def answers_of(channel: Recorder, encoded: Sequence[EncodedCall]) -> list[Any]:
    """Return each call's result or error, after checking that it has just one."""
    answers: dict[int, Any] = {}
    for frame in channel.frames():
        if kind_of_frame(frame) == RESULTS:
            results = decode_results_frame(frame)
            calls = range(results.first, results.first + results.calls)
            sizes = results.sizes or [encoded[call].rows for call in calls]
            values = decode_results(results.key, sizes, results.payload)
        else:
            failure = decode_record(frame, FailureFrame)
            calls = range(failure.first, failure.first + failure.calls)
            values = [error_of(failure.error)] * failure.calls
        for call, value in zip(calls, values, strict=True):
            assert call not in answers, "a call is answered once"
            answers[call] = value
    return [answers[call] for call in range(len(encoded))]


def run(
    model: Model,
    calls: Sequence[Arguments],
    *,
    method: MethodSpec | None = None,
    max_rows: int = 10_000,
) -> list[Any]:
    """Return each call's result or error after a trip in batches of `max_rows`."""
    method = method or spec()
    encoded = encode(method, calls)
    assert len({call.key for call in encoded}) == 1, "the calls may share a batch"
    channel, answers = Recorder(), Answers()
    isolation = isolate(Named(predict=model), {"predict": method})
    one = group(encoded, channel, max_rows=max_rows)
    while one.left:
        batch = take(one, max_rows)
        answers.add(batch, isolation.compute(batch))
    answers.flush()
    return answers_of(channel, encoded)


def run_each(model: Model, calls: Sequence[Arguments], **options: Any) -> list[Any]:
    """Return the unbatched results: those of `run` for each call alone."""
    return [run(model, [call], **options)[0] for call in calls]


def raised(answer: Any) -> HeadwayError:
    assert isinstance(answer, HeadwayError)
    return answer
