"""The runner's end of a replica: an executor whose model is in another process.

ipc/unix owns the connection and calls this for each frame; the dispatcher starts
batches.
"""

import logging

from headway.core.clock import Clock
from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    FAILURE,
    READY,
    RESULTS,
    decode_record,
    decode_results_frame,
    encode_calls,
    kind_of_frame,
)
from headway.ipc.records import FailureFrame, ReadyFrame, error_of
from headway.runner.batch import Batch
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import Done, model_error
from headway.runner.outcome import Failure, Outcome, Success
from headway.scheduling.queue import BatchSlice

__all__ = ["ReplicaLink"]

_log = logging.getLogger(__name__)


class ReplicaLink:
    """One replica in a process of its own, while its process lives.

    Args:
        dispatcher: Gets the replica when it is ready, and gives it up when it is lost.
        clock: Stamps the frames.
        number: Which of the runner's replicas it is.
    """

    blocks = False

    def __init__(
        self, *, dispatcher: Dispatcher, clock: Clock, number: int = 0
    ) -> None:
        self.number = number
        self._dispatcher = dispatcher
        self._clock = clock
        self._channel: Channel | None = None
        self._is_ready = False
        self._batch: Batch | None = None
        self._done: Done | None = None
        self._outcomes: list[Outcome] = []
        self._missing = 0
        self._took_s = 0.0

    def channel_opened(self, channel: Channel) -> None:
        """Wait for the replica's READY frame."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Give the current batch back."""
        self._channel = None
        self._batch = self._done = None
        self._outcomes = []
        if self._is_ready:
            self._is_ready = False
            self._dispatcher.remove_replica(self)

    def start(self, batch: Batch, done: Done) -> None:
        """Send a batch to the replica."""
        group, rows = batch.slices[0].group, batch.call_rows()
        try:
            sizes, parts, payload_bytes = batch.payload()
            frame = encode_calls(
                group_id=batch.number % 2**32,
                key=group.key,
                rows=rows,
                sizes=sizes,
                parts=parts,
                payload_bytes=payload_bytes,
                priority=0,
                deadline=group.due,
                sent_at=self._clock.now(),
            )
        except BaseException as error:  # noqa: BLE001 - splitting a user's object
            failure = Failure(batch.slices, model_error(group.method, error))
            done(self, batch, [failure], 0.0)
            return
        self._batch, self._done = batch, done
        self._outcomes, self._missing = [], len(rows)
        _log.debug("batch %d of %s: %d rows", batch.number, group.method, batch.rows)
        if self._channel is not None:
            self._channel.send(frame)

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Read an answer.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == READY:
            self._dispatcher.seed(decode_record(frame, ReadyFrame).costs)
            self._is_ready = True
            self._dispatcher.add_replica(self)
        elif kind == RESULTS:
            results = decode_results_frame(frame)
            slices = self._slices(results.group_id, results.first, results.calls)
            if slices:
                self._took_s = results.compute_s
                self._add(
                    Success(slices, results.key, results.sizes, results.payload),
                    results.calls,
                )
        elif kind == FAILURE:
            failure = decode_record(frame, FailureFrame)
            slices = self._slices(failure.group_id, failure.first, failure.calls)
            if slices:
                self._add(Failure(slices, error_of(failure.error)), failure.calls)
        else:
            raise WireError(f"a replica sent a frame of kind {kind}")

    def _slices(self, number: int, first: int, calls: int) -> list[BatchSlice]:
        """Return the slices of some calls of the current batch."""
        batch = self._batch
        if batch is None or batch.number % 2**32 != number:
            return []
        return batch.part(first, first + calls).slices

    def _add(self, outcome: Outcome, calls: int) -> None:
        self._outcomes.append(outcome)
        self._missing -= calls
        if self._missing or self._batch is None or self._done is None:
            return
        batch, done, outcomes = self._batch, self._done, self._outcomes
        self._batch = self._done = None
        self._outcomes = []
        done(self, batch, outcomes, self._took_s)
