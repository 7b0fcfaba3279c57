"""What became of a batch, as frames for the API workers that sent its calls.

The dispatcher hands it the outcomes; all frames for one channel go out in one write.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from headway.errors import HeadwayError
from headway.ipc.channel import Channel
from headway.ipc.frames import Buffer, encode_record_frame, encode_results
from headway.ipc.records import FailureFrame, record_of
from headway.ipc.rows import (
    decode_results,
    encode_array,
    encode_pickles,
    join,
    kind_of,
    result_key_of,
)
from headway.runner.batch import GroupPayload
from headway.runner.outcome import Failure, Outcome, Success
from headway.scheduling.call_group import BatchSlice, CallGroup

__all__ = ["Answers", "BatchFacts"]


class BatchFacts(msgspec.Struct, gc=False):
    """What every answer of a batch says about it."""

    rows: int
    started_at: float
    compute_s: float
    backlog_s: float
    row_s: float


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

    def add(self, outcomes: Iterable[Outcome], facts: BatchFacts) -> None:
        """Collect the frames of a finished batch."""
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                for piece in outcome.pieces:
                    self._fail_piece(piece, outcome.error)
            else:
                self._add_success(outcome, facts)

    def fail(self, group: CallGroup, first: int, end: int, error: HeadwayError) -> None:
        """Collect one error for the calls `first` to `end` of a group."""
        load: GroupPayload = group.load
        frame = encode_record_frame(
            FailureFrame(load.group_id, first, end - first, record_of(error))
        )
        self._frames.setdefault(load.channel, []).append(frame)

    def _fail_piece(self, piece: BatchSlice, error: HeadwayError) -> None:
        if piece.is_partial:
            parts = piece.group.load.parts
            if parts.get(piece.first, ()) is None:
                return  # another part of the same call failed before
            parts[piece.first] = None
        self.fail(piece.group, piece.first, piece.end, error)

    def _add_success(self, outcome: Success, facts: BatchFacts) -> None:
        sizes, payload = outcome.sizes, outcome.payload
        bounds = [0, *accumulate(sizes)]
        rows = sum(piece.rows for piece in outcome.pieces)
        row_bytes = len(payload) // rows
        call, at = 0, 0
        for piece in outcome.pieces:
            calls = piece.end - piece.first
            end = bounds[call + calls] if sizes else at + piece.rows * row_bytes
            part = Success(
                [piece], outcome.key, sizes[call : call + calls], payload[at:end]
            )
            if piece.is_partial:
                self._add_part(piece, part, facts)
            else:
                self._send(piece, part, facts)
            call, at = call + calls, end

    def _add_part(self, piece: BatchSlice, part: Success, facts: BatchFacts) -> None:
        """Keep a part of a split call; send the whole once it is complete."""
        load: GroupPayload = piece.group.load
        parts = load.parts.setdefault(piece.first, [])
        if parts is None:
            return  # the call was answered by the error of another part
        parts.append(part)
        whole = piece.group.rows[piece.first]
        if sum(one.pieces[0].rows for one in parts) < whole:
            return
        del load.parts[piece.first]
        parts.sort(key=lambda one: one.pieces[0].skip)
        try:
            joined = _joined(parts)
        except HeadwayError as error:
            self.fail(piece.group, piece.first, piece.end, error)
        else:
            self._send(piece, joined, facts)

    def _send(self, piece: BatchSlice, result: Success, facts: BatchFacts) -> None:
        load: GroupPayload = piece.group.load
        frame = encode_results(
            group_id=load.group_id,
            first=piece.first,
            calls=piece.end - piece.first,
            key=result.key,
            sizes=result.sizes,
            parts=[result.payload],
            payload_bytes=len(result.payload),
            backlog_s=facts.backlog_s,
            row_s=facts.row_s,
            queue_s=max(facts.started_at - piece.group.arrived_at, 0.0),
            compute_s=facts.compute_s,
            batch_rows=facts.rows,
        )
        self._frames.setdefault(load.channel, []).extend(frame)


def _joined(parts: Sequence[Success]) -> Success:
    """Return the result of a call that was split.

    Raises:
        OutputError: If the parts do not fit together.
    """
    if not parts[0].sizes and all(part.key == parts[0].key for part in parts):
        payload = memoryview(b"".join(part.payload for part in parts))
        return Success(parts[0].pieces, parts[0].key, (), payload)
    values: list[Any] = [
        decode_results(
            part.key,
            part.sizes or [part.pieces[0].rows],
            part.payload,
            keep_rows_first=True,
        )[0]
        for part in parts
    ]
    whole, axis = join(values), result_key_of(parts[0].key).axis
    if kind_of(whole) == "array":
        key, raw = encode_array(whole, axis)
        return Success(parts[0].pieces, key, (), memoryview(raw))
    key, blobs = encode_pickles([whole], axis)
    return Success(parts[0].pieces, key, [len(blobs[0])], memoryview(blobs[0]))
