"""The runner's end of a replica: an executor whose model is in another process.

A UnixLink owns the connection and tells this of frames; the dispatcher starts batches.
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
from headway.ipc.records import CallKey, FailureFrame, ReadyFrame, error_of
from headway.runner.batch import Batch, GroupPayload
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import Done
from headway.runner.isolation import model_error
from headway.runner.outcome import Failure, Outcome, Success
from headway.scheduling.call_group import BatchSlice

__all__ = ["ReplicaLink"]

_log = logging.getLogger(__name__)


class ReplicaLink:
    """One replica in a process of its own, while its process lives.

    Args:
        dispatcher: Told when the replica is ready and when it is gone.
        clock: Stamps what is sent.
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
        """Wait for the replica to say that it is ready."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Give the batch at hand back."""
        self._channel = None
        self._batch = self._done = None
        self._outcomes = []
        if self._is_ready:
            self._is_ready = False
            self._dispatcher.remove_replica(self)

    def start(self, batch: Batch, done: Done) -> None:
        """Send a batch to the replica."""
        try:
            sizes, parts, payload_bytes = batch.payload()
        except Exception as error:  # noqa: BLE001 - reading a user's object to split it
            failure = Failure(batch.pieces, model_error(batch.key.method, error))
            done(self, batch, [failure], 0.0)
            return
        rows = batch.call_rows()
        self._batch, self._done = batch, done
        self._outcomes, self._missing = [], len(rows)
        load: GroupPayload = batch.pieces[0].group.load
        key: CallKey = batch.key
        frame = encode_calls(
            group_id=batch.number % 2**32,
            key=load.frame.key,
            rows=rows,
            sizes=sizes,
            parts=parts,
            payload_bytes=payload_bytes,
            priority=0,
            deadline=batch.pieces[0].group.due,
            sent_at=self._clock.now(),
        )
        _log.debug("batch %d of %s: %d rows", batch.number, key.method, batch.rows)
        if self._channel is not None:
            self._channel.send(frame)

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Take in an answer.

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
            pieces = self._pieces(results.group_id, results.first, results.calls)
            if pieces:
                self._took_s = results.compute_s
                self._take(
                    Success(pieces, results.key, results.sizes, results.payload),
                    results.calls,
                )
        elif kind == FAILURE:
            failure = decode_record(frame, FailureFrame)
            pieces = self._pieces(failure.group_id, failure.first, failure.calls)
            if pieces:
                self._take(Failure(pieces, error_of(failure.error)), failure.calls)
        else:
            raise WireError(f"a replica sent a frame of kind {kind}")

    def _pieces(self, number: int, first: int, calls: int) -> list[BatchSlice]:
        """Return the pieces of some calls of the batch at hand."""
        batch = self._batch
        if batch is None or batch.number % 2**32 != number:
            return []
        return batch.part(first, first + calls).pieces

    def _take(self, outcome: Outcome, calls: int) -> None:
        self._outcomes.append(outcome)
        self._missing -= calls
        if self._missing or self._batch is None or self._done is None:
            return
        batch, done, outcomes = self._batch, self._done, self._outcomes
        self._batch = self._done = None
        self._outcomes = []
        done(self, batch, outcomes, self._took_s)
