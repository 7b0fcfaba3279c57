"""A batch: rows of many calls as one argument of the model.

The dispatcher makes one of the slices that the scheduler chose; runner/executor gives
it to the model, and takes it apart if the model raises.
"""

import pickle
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from headway.errors import WireError
from headway.ipc.frames import Buffer
from headway.ipc.records import ARRAYS, OPAQUE, CallKey, CallsFrame
from headway.ipc.rows import join, raw_bytes, raw_dtype, take
from headway.scheduling.queue import BatchSlice, CallGroup

__all__ = ["Batch", "read_columns"]


def read_columns(
    frame: CallsFrame, call_key: CallKey
) -> Sequence[np.ndarray[Any, Any]]:
    """Return a view of a group's payload for each array argument.

    Raises:
        WireError: If the payload is not as long as the key and rows say.
    """
    if call_key.mode != ARRAYS:
        sizes = frame.sizes
        if len(sizes) != len(frame.rows) or sum(sizes) > len(frame.payload):
            raise WireError("a group's pickles do not fit its bytes")
        return ()
    rows, at = sum(frame.rows), 0
    columns = []
    try:
        for argument in call_key.arguments:
            dtype = raw_dtype(argument.dtype)
            shape = (rows, *argument.shape)
            column = np.ndarray(shape, dtype, frame.payload, at)
            columns.append(column)
            at += column.nbytes
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"a group's arrays do not fit its bytes: {error}") from error
    return columns


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
        rows: Rows of all slices.
        number: Of the scheduler's Dispatch.

    Attributes:
        attempts: Replicas that were lost while they computed it.
        started_at: Monotonic seconds at which its replica started.
        took_s: Seconds that the model took.
        backlog_s: What its answers say about the queue: seconds until a call like
            these would be answered ...
        row_s: ... and the seconds that each row ahead of it adds.
    """

    __slots__ = (
        "attempts",
        "backlog_s",
        "number",
        "row_s",
        "rows",
        "slices",
        "started_at",
        "took_s",
    )

    def __init__(self, slices: list[BatchSlice], rows: int, number: int = 0) -> None:
        self.slices = slices
        self.rows = rows
        self.number = number
        self.attempts = 0
        self.started_at = self.took_s = self.backlog_s = self.row_s = 0.0

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
        return Batch(slices, sum([one.rows for one in slices]), self.number)

    def select(self, calls: Sequence[int]) -> "Batch":
        """Return the batch of some calls, in ascending order; itself if of all."""
        if len(calls) == self.calls:
            return self
        parts = [self.part(first, end) for first, end in _runs(calls)]
        slices = [one for part in parts for one in part.slices]
        return Batch(slices, sum([part.rows for part in parts]), self.number)

    def digests(self) -> list[int]:
        """Return a number for each call, the same for calls of the same bytes."""
        digests: list[int] = []
        for one in self.slices:
            group = one.group
            columns = (
                [_cut(column, one) for column in group.columns]
                if group.call_key.mode == ARRAYS
                else [map(bytes, _pickles(group, one.first, one.end))]
            )
            digests += [
                hash((group.key, *parts)) for parts in zip(*columns, strict=True)
            ]
        return digests

    def arguments(self, axis: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) for the model's method, rows along `axis`."""
        key = self.key
        if key.mode == OPAQUE:
            args, kwargs = _call_values(self.slices[0].group, self.slices[0].first)
            return args, kwargs
        columns = (
            [
                np.moveaxis(self._array(place), 0, axis) if axis else self._array(place)
                for place in range(len(key.arguments))
            ]
            if key.mode == ARRAYS
            else self._containers()
        )
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

    def _array(self, place: int) -> np.ndarray[Any, Any]:
        views = self._views(place)
        # A single view is a part of a received frame, which the model must not write.
        return np.concatenate(views) if len(views) > 1 else views[0].copy()

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
        blobs: list[Buffer] = [
            blob
            for one in self.slices
            for blob in (
                [pickle.dumps(_part_values(one), protocol=5)]
                if one.is_partial
                else _pickles(one.group, one.first, one.end)
            )
        ]
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
