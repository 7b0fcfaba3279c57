"""What became of a batch, as frames for the API workers that sent its calls.

The dispatcher adds the outcomes of each batch; all frames for one channel go out in one
write.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

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
from headway.runner.batch import Batch
from headway.runner.outcome import Failure, Outcome, Success
from headway.scheduling.queue import BatchSlice, CallGroup

__all__ = ["Answers"]


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
            if isinstance(outcome, Failure):
                for one in outcome.slices:
                    self._fail_slice(one, outcome.error)
            else:
                self._add_success(batch, outcome)

    def fail(self, group: CallGroup, first: int, end: int, error: HeadwayError) -> None:
        """Collect one error for the calls `first` to `end` of a group."""
        frame = encode_record_frame(
            FailureFrame(group.frame.group_id, first, end - first, record_of(error))
        )
        self._frames.setdefault(group.channel, []).append(frame)

    def _fail_slice(self, one: BatchSlice, error: HeadwayError) -> None:
        if one.is_partial:
            parts = one.group.parts
            if parts.get(one.first, ()) is None:
                return  # another part of the same call failed before
            parts[one.first] = None
        self.fail(one.group, one.first, one.end, error)

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
                self._add_part(batch, one, part)
            else:
                self._send(batch, one, part)
            call, at = call + calls, end

    def _add_part(self, batch: Batch, one: BatchSlice, part: Success) -> None:
        """Keep a part of a split call; send the whole once it is complete."""
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
            self._send(batch, one, joined)

    def _send(self, batch: Batch, one: BatchSlice, result: Success) -> None:
        group = one.group
        try:
            frame = encode_results(
                group_id=group.frame.group_id,
                first=one.first,
                calls=one.end - one.first,
                key=result.key,
                sizes=result.sizes,
                parts=[result.payload],
                payload_bytes=len(result.payload),
                backlog_s=batch.backlog_s,
                row_s=batch.row_s,
                queue_s=max(batch.started_at - group.arrived_at, 0.0),
                compute_s=batch.took_s,
                batch_rows=batch.rows,
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
    whole, axis = join(values), result_key_of(first.key).axis
    if kind_of(whole) == "array":
        key, raw = encode_array(whole, axis)
        return Success(first.slices, key, (), memoryview(raw))
    key, blobs = encode_pickles([whole], axis)
    return Success(first.slices, key, [len(blobs[0])], memoryview(blobs[0]))
