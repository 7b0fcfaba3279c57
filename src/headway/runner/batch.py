"""A batch: rows of many calls as one argument, and what became of them.

The dispatcher makes one of the pieces that the scheduler chose; runner/isolation has it
computed wherever the model is, and takes it apart if the model raises.
"""

import pickle
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import Buffer
from headway.ipc.records import ARRAYS, OPAQUE, ArgumentSpec, CallKey, CallsFrame
from headway.ipc.rows import join, raw_bytes, raw_dtype, take
from headway.runner.outcome import Success
from headway.scheduling.call_group import BatchSlice

__all__ = [
    "Batch",
    "GroupPayload",
]


class GroupPayload:
    """What a group carries: where it came from and the bytes of its calls.

    Args:
        channel: Where the answers go.
        group_id: Its number on that channel.
        key: What its calls have in common.
        frame: As received.

    Raises:
        WireError: If the payload is not as long as the key and rows say.
    """

    __slots__ = ("_values", "channel", "columns", "frame", "group_id", "key", "parts")

    def __init__(
        self, *, channel: Channel, group_id: int, key: CallKey, frame: CallsFrame
    ) -> None:
        self.channel = channel
        self.group_id = group_id
        self.key = key
        self.frame = frame
        self.columns: list[np.ndarray[Any, Any]] = (
            _columns(frame, key.arguments) if key.mode == ARRAYS else []
        )
        self.parts: dict[int, list[Success] | None] = {}
        """Results of split calls that are not complete yet, by call; None: failed."""
        if key.mode != ARRAYS and (
            len(frame.sizes) != len(frame.rows) or sum(frame.sizes) > len(frame.payload)
        ):
            raise WireError("a group's pickles do not fit its bytes")
        self._values: dict[int, Any] = {}

    def values(self, call: int) -> Any:
        """Return the pickled arguments of a call, read anew.

        What a model did to them before it raised must not be seen by the next try.
        """
        return pickle.loads(self.blobs(call, call + 1)[0])

    def part_values(self, piece: BatchSlice) -> tuple[Any, ...]:
        """Return a split call's arguments, cut to the piece; read once for all."""
        values = self._values.get(piece.first)
        if values is None:
            values = self._values[piece.first] = self.values(piece.first)
        return tuple(
            take(value, piece.skip, piece.skip + piece.rows) for value in values
        )

    def blobs(self, first: int, end: int) -> list[memoryview]:
        """Return the pickles of the calls `first` to `end`."""
        bounds = [0, *accumulate(self.frame.sizes)]
        return [
            self.frame.payload[bounds[call] : bounds[call + 1]]
            for call in range(first, end)
        ]


def _columns(
    frame: CallsFrame, arguments: Sequence[ArgumentSpec]
) -> list[np.ndarray[Any, Any]]:
    """Return a view of the payload for each array argument."""
    rows, at = sum(frame.rows), 0
    columns = []
    try:
        for argument in arguments:
            dtype = raw_dtype(argument.dtype)
            shape = (rows, *argument.shape)
            column = np.ndarray(shape, dtype, frame.payload, at)
            columns.append(column)
            at += column.nbytes
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"a group's arrays do not fit its bytes: {error}") from error
    return columns


class Batch:
    """Rows of calls that share a key.

    Args:
        pieces: What the scheduler chose.
        rows: Rows in all of them.
    """

    __slots__ = ("attempts", "number", "pieces", "rows")

    def __init__(self, *, pieces: list[BatchSlice], rows: int, number: int = 0) -> None:
        self.pieces = pieces
        self.rows = rows
        self.number = number
        self.attempts = 0

    @property
    def key(self) -> CallKey:
        """What its calls have in common."""
        load: GroupPayload = self.pieces[0].group.load
        return load.key

    @property
    def calls(self) -> int:
        """Number of calls, parts of split ones included."""
        return sum(piece.end - piece.first for piece in self.pieces)

    @property
    def answered(self) -> int:
        """Number of calls whose callers have their answer after this batch."""
        return sum(piece.answered for piece in self.pieces)

    def part(self, first: int, end: int) -> "Batch":
        """Return the batch of the calls `first` to `end`, counted over all pieces."""
        pieces = []
        for piece in self.pieces:
            if end <= 0:
                break
            calls = piece.end - piece.first
            start, stop = max(first, 0), min(end, calls)
            if start < stop:
                pieces.append(_part(piece, piece.first + start, piece.first + stop))
            first, end = first - calls, end - calls
        return Batch(
            pieces=pieces, rows=sum(piece.rows for piece in pieces), number=self.number
        )

    def select(self, calls: Sequence[int]) -> "Batch":
        """Return the batch of some calls, given in order; the whole one if of all."""
        if len(calls) == self.calls:
            return self
        parts = [self.part(first, end) for first, end in _runs(calls)]
        return Batch(
            pieces=[piece for part in parts for piece in part.pieces],
            rows=sum(part.rows for part in parts),
            number=self.number,
        )

    def digests(self) -> list[int]:
        """Return a number for each call, the same for calls of the same bytes."""
        digests: list[int] = []
        for piece in self.pieces:
            load: GroupPayload = piece.group.load
            columns = (
                [_cut(column, piece) for column in load.columns]
                if load.key.mode == ARRAYS
                else [map(bytes, load.blobs(piece.first, piece.end))]
            )
            key = piece.group.key
            digests += [hash((key, *parts)) for parts in zip(*columns, strict=True)]
        return digests

    def odd_calls(self) -> set[int]:
        """Return the calls that have an infinity or a NaN in an array."""
        odd: set[int] = set()
        before = 0
        for piece in self.pieces:
            rows = slice(piece.start_row, piece.start_row + piece.rows)
            for column in piece.group.load.columns:
                if column.dtype.kind not in "fc":
                    continue
                finite = np.isfinite(column[rows])
                if finite.all():
                    continue
                is_odd = ~finite.reshape(piece.rows, -1).all(axis=1)
                starts = [0, *accumulate(_call_rows(piece))][:-1]
                calls = np.flatnonzero(np.logical_or.reduceat(is_odd, starts))
                odd.update((before + calls).tolist())
            before += piece.end - piece.first
        return odd

    def arguments(self, axis: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) for the model's method, rows along `axis`."""
        key = self.key
        if key.mode == OPAQUE:
            piece = self.pieces[0]
            args, kwargs = piece.group.load.values(piece.first)
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

    def _slices(self, place: int) -> list[np.ndarray[Any, Any]]:
        return [
            piece.group.load.columns[place][
                piece.start_row : piece.start_row + piece.rows
            ]
            for piece in self.pieces
        ]

    def _array(self, place: int) -> np.ndarray[Any, Any]:
        slices = self._slices(place)
        # One slice is a view of a received frame: not the model's to write to.
        return np.concatenate(slices) if len(slices) > 1 else slices[0].copy()

    def _containers(self) -> list[Any]:
        calls = [
            load.part_values(piece) if piece.is_partial else load.values(call)
            for piece in self.pieces
            for load in [piece.group.load]
            for call in range(piece.first, piece.end)
        ]
        return [join(column) for column in zip(*calls, strict=True)]

    def payload(self) -> tuple[list[int], list[Buffer], int]:
        """Return (pickle sizes, buffers, bytes) of its calls, to send them on."""
        if self.key.mode == ARRAYS:
            # Not joined: the channel puts them one after the other where they go.
            parts = [
                raw_bytes(rows)
                for place in range(len(self.key.arguments))
                for rows in self._slices(place)
            ]
            return [], parts, sum(map(len, parts))
        blobs = [
            blob
            for piece in self.pieces
            for blob in (
                [_partial_blob(piece)]
                if piece.is_partial
                else piece.group.load.blobs(piece.first, piece.end)
            )
        ]
        sizes = [len(blob) for blob in blobs]
        return sizes, blobs, sum(sizes)

    def call_rows(self) -> list[int]:
        """Return the rows of each call, or part of one, in order."""
        return [rows for piece in self.pieces for rows in _call_rows(piece)]


def _call_rows(piece: BatchSlice) -> Sequence[int]:
    if piece.end - piece.first == 1:
        return (piece.rows,)
    return piece.group.rows[piece.first : piece.end]


def _cut(column: np.ndarray[Any, Any], piece: BatchSlice) -> Iterator[bytes]:
    """Return the bytes of each call of a piece."""
    raw = column[piece.start_row : piece.start_row + piece.rows].tobytes()
    size = len(raw) // piece.rows
    for first, end in pairwise(accumulate(_call_rows(piece), initial=0)):
        yield raw[first * size : end * size]


def _runs(calls: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the (first, end) of each run of neighbours."""
    first = end = calls[0]
    for call in calls:
        if call != end:
            yield first, end
            first = call
        end = call + 1
    yield first, end


def _partial_blob(piece: BatchSlice) -> bytes:
    return pickle.dumps(piece.group.load.part_values(piece), protocol=5)


def _part(piece: BatchSlice, first: int, end: int) -> BatchSlice:
    """Return the calls `first` to `end` of a piece."""
    if (first, end) == (piece.first, piece.end):
        return piece
    offsets = piece.group.offsets
    return BatchSlice(
        group=piece.group,
        first=first,
        end=end,
        skip=0,
        rows=offsets[end] - offsets[first],
    )
