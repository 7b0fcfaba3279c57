"""The two ends of the connection between a runner and a replica's process.

The replica computes the batches that its runner sends; the runner holds the queue and
decides. ipc/unix owns the connection and calls both for each frame; the dispatcher
starts batches on a ReplicaLink.
"""

import logging

from headway.core.clock import Clock
from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    CALLS,
    FAILURE,
    READY,
    RESULTS,
    decode_calls,
    decode_record,
    decode_results_frame,
    encode_calls,
    encode_record_frame,
    kind_of_frame,
    parse_record,
)
from headway.ipc.records import (
    OPAQUE,
    CallKey,
    FailureFrame,
    ReadyFrame,
    ResultsFrame,
    error_of,
)
from headway.runner.batch import Answers, Batch, Failure, Outcome, Success
from headway.runner.dispatcher import Dispatcher
from headway.runner.executor import Done, FailureIsolation, model_error
from headway.runner.receiver import read_columns
from headway.scheduling.queue import CallGroup

_log = logging.getLogger(__name__)


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

    def channel_opened(self, channel: Channel) -> None:
        """Report that the model is loaded and warm."""
        channel.send([self._ready])

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Wait for the runner to come back."""

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
        batch = Batch(group.take(rows))
        batch.started_at = calls.sent_at
        self._answers.add(batch, self._isolation.compute(batch))
        self._answers.flush()


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
        self._current: tuple[Batch, Done] | None = None
        self._outcomes: list[Outcome] = []
        self._missing = 0

    def channel_opened(self, channel: Channel) -> None:
        """Wait for the replica's READY frame."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Give the current batch back."""
        self._channel = None
        self._current = None
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
            done(self, batch, [failure])
            return
        self._current = batch, done
        self._missing = len(rows)
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
            self._add(results, Success([], results.key, results.sizes, results.payload))
        elif kind == FAILURE:
            failure = decode_record(frame, FailureFrame)
            self._add(failure, Failure([], error_of(failure.error)))
        else:
            raise WireError(f"a replica sent a frame of kind {kind}")

    def _add(self, answer: ResultsFrame | FailureFrame, outcome: Outcome) -> None:
        """Keep the outcome of some calls of the current batch; the last one ends it."""
        if self._current is None:
            return
        batch, done = self._current
        outcome.slices = batch.part(answer.first, answer.first + answer.calls).slices
        if batch.number % 2**32 != answer.group_id or not outcome.slices:
            return
        if isinstance(answer, ResultsFrame):
            batch.took_s = answer.compute_s
        self._outcomes.append(outcome)
        self._missing -= answer.calls
        if not self._missing:
            outcomes, self._outcomes, self._current = self._outcomes, [], None
            done(self, batch, outcomes)
