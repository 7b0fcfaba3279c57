"""A batch: the rows of many calls as arguments of the model, and their answers.

The dispatcher makes one of the slices that the scheduler chose; runner/executor gives
it to the model, and takes it apart if the model raises. The dispatcher adds the
outcomes to Answers, which sends all frames for one channel in one write.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from headway.errors import HeadwayError
from headway.ipc.channel import Channel
from headway.ipc.frames import Buffer, encode_record_frame, encode_results, parse_record
from headway.ipc.records import (
    ARRAYS,
    OPAQUE,
    CallKey,
    FailureFrame,
    ResultKey,
    ResultsFrame,
    record_of,
)
from headway.ipc.rows import (
    decode_results,
    encode_array,
    encode_pickles,
    join,
    kind_of,
    raw_bytes,
    take,
)
from headway.scheduling.queue import BatchSlice, CallGroup


def _call_values(group: CallGroup, call: int) -> Any:
    """Return the pickled arguments of a call, read anew.

    What a model did to them before it raised must not be seen by the next attempt.
    """
    return pickle.loads(_pickles(group, call, call + 1)[0])


def _part_values(part: BatchSlice) -> tuple[Any, ...]:
    """Return a split call's arguments, cut to the slice; read once for all slices."""
    group = part.group
    values = group.split_values.get(part.first)
    if values is None:
        values = group.split_values[part.first] = _call_values(group, part.first)
    return tuple(take(value, part.skip, part.skip + part.rows) for value in values)


def _pickles(group: CallGroup, first: int, end: int) -> list[memoryview]:
    """Return the pickles of the calls `first` to `end`."""
    bounds = [0, *accumulate(group.frame.sizes)]
    payload = group.frame.payload
    return [payload[bounds[call] : bounds[call + 1]] for call in range(first, end)]


class Batch:
    """Rows of calls that share a key.

    Args:
        slices: What the scheduler chose.
        number: Of the scheduler's Dispatch.

    Attributes:
        rows: Rows of all slices.
        attempts: Replicas that were lost while they computed it.
        started_at: Monotonic seconds at which its replica started.
        took_s: Seconds that the model took.
        queue_delay_s: What its answers say about the queue: seconds until a call like
            these would be answered ...
        row_s: ... and the seconds that each row ahead of it adds.
    """

    __slots__ = (
        "attempts",
        "number",
        "queue_delay_s",
        "row_s",
        "rows",
        "slices",
        "started_at",
        "took_s",
    )

    def __init__(self, slices: list[BatchSlice], number: int = 0) -> None:
        self.slices = slices
        self.rows = sum([one.rows for one in slices])
        self.number = number
        self.attempts = 0
        self.started_at = self.took_s = self.queue_delay_s = self.row_s = 0.0

    @property
    def key(self) -> CallKey:
        """What its calls have in common."""
        return self.slices[0].group.call_key

    @property
    def calls(self) -> int:
        """Number of calls, parts of split calls included."""
        return sum([one.end - one.first for one in self.slices])

    def part(self, first: int, end: int) -> "Batch":
        """Return the batch of the calls `first` to `end`, counted over all slices."""
        slices = []
        for one in self.slices:
            if end <= 0:
                break
            calls = one.end - one.first
            start, stop = max(first, 0), min(end, calls)
            if start < stop:
                slices.append(_part(one, one.first + start, one.first + stop))
            first, end = first - calls, end - calls
        return Batch(slices, self.number)

    def select(self, calls: Sequence[int]) -> "Batch":
        """Return the batch of some calls, in ascending order; itself if of all."""
        if len(calls) == self.calls:
            return self
        runs = _runs(calls)
        slices = [one for run in runs for one in self.part(*run).slices]
        return Batch(slices, self.number)

    def digests(self) -> list[int]:
        """Return a number for each call, the same for calls of the same bytes."""
        digests: list[int] = []
        for one in self.slices:
            group = one.group
            columns: list[Iterable[bytes]] = (
                [_cut(column, one) for column in group.columns]
                if group.call_key.mode == ARRAYS
                else [map(bytes, _pickles(group, one.first, one.end))]
            )
            digests += [hash((group.key, *row)) for row in zip(*columns, strict=True)]
        return digests

    def arguments(self, axis: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) for the model's method, rows along `axis`."""
        key = self.key
        if key.mode == OPAQUE:
            args, kwargs = _call_values(self.slices[0].group, self.slices[0].first)
            return args, kwargs
        columns = self._arrays(axis) if key.mode == ARRAYS else self._containers()
        places: dict[int | str, Any] = {
            argument.place: column
            for argument, column in zip(key.arguments, columns, strict=True)
        }
        if key.constants:
            places.update(pickle.loads(key.constants))
        count = sum(isinstance(place, int) for place in places)
        return (
            tuple(places[place] for place in range(count)),
            {place: v for place, v in places.items() if isinstance(place, str)},
        )

    def _views(self, place: int) -> list[np.ndarray[Any, Any]]:
        return [
            one.group.columns[place][one.start_row : one.start_row + one.rows]
            for one in self.slices
        ]

    def _arrays(self, axis: int) -> list[np.ndarray[Any, Any]]:
        arrays = []
        for place in range(len(self.key.arguments)):
            views = self._views(place)
            # One view is a part of a received frame, which the model must not write.
            rows = np.concatenate(views) if len(views) > 1 else views[0].copy()
            arrays.append(np.moveaxis(rows, 0, axis) if axis else rows)
        return arrays

    def _containers(self) -> list[Any]:
        calls = [
            _part_values(one) if one.is_partial else _call_values(one.group, call)
            for one in self.slices
            for call in range(one.first, one.end)
        ]
        return [join(column) for column in zip(*calls, strict=True)]

    def payload(self) -> tuple[list[int], list[Buffer], int]:
        """Return (pickle sizes, buffers, bytes) of its calls, to send them on."""
        if self.key.mode == ARRAYS:
            # Not joined: the channel writes them one after the other.
            parts = [
                raw_bytes(rows)
                for place in range(len(self.key.arguments))
                for rows in self._views(place)
            ]
            return [], parts, sum(map(len, parts))
        blobs: list[Buffer] = []
        for one in self.slices:
            if one.is_partial:
                blobs.append(pickle.dumps(_part_values(one), protocol=5))
            else:
                blobs += _pickles(one.group, one.first, one.end)
        sizes = [len(blob) for blob in blobs]
        return sizes, blobs, sum(sizes)

    def call_rows(self) -> list[int]:
        """Return the rows of each call, or part of one, in order."""
        return [rows for one in self.slices for rows in _call_rows(one)]


def _call_rows(one: BatchSlice) -> Sequence[int]:
    if one.end - one.first == 1:
        return (one.rows,)
    return one.group.rows[one.first : one.end]


def _cut(column: np.ndarray[Any, Any], one: BatchSlice) -> Iterator[bytes]:
    """Return the bytes of each call of a slice."""
    raw = column[one.start_row : one.start_row + one.rows].tobytes()
    size = len(raw) // one.rows
    for first, end in pairwise(accumulate(_call_rows(one), initial=0)):
        yield raw[first * size : end * size]


def _runs(calls: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the (first, end) of each run of consecutive numbers."""
    first = end = calls[0]
    for call in calls:
        if call != end:
            yield first, end
            first = call
        end = call + 1
    yield first, end


def _part(one: BatchSlice, first: int, end: int) -> BatchSlice:
    """Return the calls `first` to `end` of a slice."""
    if (first, end) == (one.first, one.end):
        return one
    offsets = one.group.offsets
    return BatchSlice(one.group, first, end, 0, offsets[end] - offsets[first])


class Success:
    """The result of some slices, encoded for a frame.

    If `sizes` is empty, every row of the result takes the same number of bytes;
    otherwise there is a pickle for each call, of those sizes.
    """

    __slots__ = ("key", "payload", "sizes", "slices")

    def __init__(
        self,
        slices: list[BatchSlice],
        key: bytes,
        sizes: Sequence[int],
        payload: memoryview,
    ) -> None:
        self.slices = slices
        self.key = key
        self.sizes = sizes
        self.payload = payload


class Failure:
    """Slices that got an error instead of a result."""

    __slots__ = ("error", "slices")

    def __init__(self, slices: list[BatchSlice], error: HeadwayError) -> None:
        self.slices = slices
        self.error = error


Outcome = Success | Failure


class Answers:
    """Collects frames by channel until `flush`."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: dict[Channel, list[Buffer]] = {}

    def flush(self) -> None:
        """Send what was collected, one write for each channel."""
        frames, self._frames = self._frames, {}
        for channel, buffers in frames.items():
            channel.send(buffers)

    def add(self, batch: Batch, outcomes: Iterable[Outcome]) -> None:
        """Collect the frames of a finished batch."""
        for outcome in outcomes:
            if isinstance(outcome, Success):
                self._add_success(batch, outcome)
                continue
            for one in outcome.slices:
                if one.is_partial:
                    parts = one.group.parts
                    if parts.get(one.first, ()) is None:
                        continue  # another part of the same call failed before
                    parts[one.first] = None
                self.fail(one.group, one.first, one.end, outcome.error)

    def fail(self, group: CallGroup, first: int, end: int, error: HeadwayError) -> None:
        """Collect one error for the calls `first` to `end` of a group."""
        frame = encode_record_frame(
            FailureFrame(group.frame.group_id, first, end - first, record_of(error))
        )
        self._frames.setdefault(group.channel, []).append(frame)

    def _add_success(self, batch: Batch, outcome: Success) -> None:
        sizes, payload = outcome.sizes, outcome.payload
        bounds = [0, *accumulate(sizes)]
        rows = sum([one.rows for one in outcome.slices])
        row_bytes = len(payload) // rows
        call, at = 0, 0
        for one in outcome.slices:
            calls = one.end - one.first
            end = bounds[call + calls] if sizes else at + one.rows * row_bytes
            part = Success(
                [one], outcome.key, sizes[call : call + calls], payload[at:end]
            )
            if one.is_partial:
                self._add_part(batch, part)
            else:
                self._send(batch, part)
            call, at = call + calls, end

    def _add_part(self, batch: Batch, part: Success) -> None:
        """Keep a part of a split call; send the whole once it is complete."""
        one = part.slices[0]
        group = one.group
        parts = group.parts.setdefault(one.first, [])
        if parts is None:
            return  # the call was answered by the error of another part
        parts.append(part)
        if sum([kept.slices[0].rows for kept in parts]) < group.rows[one.first]:
            return
        del group.parts[one.first]
        parts.sort(key=lambda kept: kept.slices[0].skip)
        try:
            joined = _joined(parts)
        except HeadwayError as error:
            self.fail(group, one.first, one.end, error)
        else:
            self._send(batch, joined)

    def _send(self, batch: Batch, result: Success) -> None:
        one = result.slices[0]
        group = one.group
        try:
            frame = encode_results(
                ResultsFrame(
                    group_id=group.frame.group_id,
                    first=one.first,
                    calls=one.end - one.first,
                    key=result.key,
                    sizes=result.sizes,
                    queue_delay_s=batch.queue_delay_s,
                    row_s=batch.row_s,
                    queue_s=max(batch.started_at - group.arrived_at, 0.0),
                    compute_s=batch.took_s,
                    batch_rows=batch.rows,
                    payload=result.payload,
                )
            )
        except HeadwayError as error:  # too long for a frame
            self.fail(group, one.first, one.end, error)
            return
        self._frames.setdefault(group.channel, []).extend(frame)


def _joined(parts: Sequence[Success]) -> Success:
    """Return the result of a call that was split.

    Raises:
        OutputError: If the parts do not fit together.
    """
    first = parts[0]
    if not first.sizes and all(part.key == first.key for part in parts):
        payload = memoryview(b"".join(part.payload for part in parts))
        return Success(first.slices, first.key, (), payload)
    values: list[Any] = [
        decode_results(
            part.key,
            part.sizes or [part.slices[0].rows],
            part.payload,
            keep_rows_first=True,
        )[0]
        for part in parts
    ]
    whole, axis = join(values), parse_record(first.key, ResultKey).axis
    if kind_of(whole) == "array":
        key, raw = encode_array(whole, axis)
        return Success(first.slices, key, (), memoryview(raw))
    key, blobs = encode_pickles([whole], axis)
    return Success(first.slices, key, [len(blobs[0])], memoryview(blobs[0]))
