"""A replica in a process of its own: computes the batches that its runner sends.

The runner holds the queue and decides; runner/replica_link is the other end.
"""

import asyncio
import time

from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    CALLS,
    decode_calls,
    encode_record_frame,
    kind_of_frame,
    parse_record,
)
from headway.ipc.records import OPAQUE, CallKey, ReadyFrame
from headway.runner.batch import Answers, Batch
from headway.runner.executor import FailureIsolation
from headway.runner.receiver import read_columns
from headway.scheduling.queue import CallGroup

__all__ = ["Replica"]


class Replica:
    """The owner of the channel to the runner: every group is a batch.

    Args:
        ready: Sent as the channel opens.
        isolation: Holds the model.
    """

    def __init__(self, *, ready: ReadyFrame, isolation: FailureIsolation) -> None:
        self._ready = encode_record_frame(ready)
        self._isolation = isolation
        self._answers = Answers()
        self._is_deserted = asyncio.Event()
        self._is_deserted.set()

    async def wait_deserted(self) -> None:
        """Return once the runner is not connected."""
        await self._is_deserted.wait()

    def channel_opened(self, channel: Channel) -> None:
        """Report that the model is loaded and warm."""
        self._is_deserted.clear()
        channel.send([self._ready])

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Wait for the runner to come back."""
        self._is_deserted.set()

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Compute a batch and answer it.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        if kind_of_frame(frame) != CALLS:
            raise WireError(f"a runner sent a frame of kind {kind_of_frame(frame)}")
        calls = decode_calls(frame)
        key = parse_record(calls.key, CallKey)
        rows = sum(calls.rows)
        group = CallGroup(
            frame=calls,
            call_key=key,
            channel=channel,
            due=calls.deadline,
            max_rows=rows,
            alone=key.mode == OPAQUE,
        )
        group.columns = read_columns(calls, key)
        batch = Batch(group.take(rows), rows)
        batch.started_at = calls.sent_at
        began = time.perf_counter()
        outcomes = self._isolation.compute(batch)
        batch.took_s = time.perf_counter() - began
        self._answers.add(batch, outcomes)
        self._answers.flush()
