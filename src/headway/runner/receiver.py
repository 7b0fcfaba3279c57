"""What API workers send to a runner, on every channel: call groups and cancellations.

ipc/unix and ipc/channel call it; it calls the dispatcher.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headway.config.schema import BatchingConfig
from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    CALLS,
    CANCEL,
    decode_calls,
    decode_record,
    encode_record_frame,
    kind_of_frame,
    parse_record,
)
from headway.ipc.records import (
    ARRAYS,
    OPAQUE,
    CallKey,
    CallsFrame,
    CancelFrame,
    ReadyFrame,
)
from headway.ipc.rows import raw_dtype
from headway.runner.dispatcher import Dispatcher
from headway.scheduling.queue import CallGroup

_log = logging.getLogger(__name__)
_KEYS_KEPT = 1024


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


class RunnerReceiver:
    """The owner of all channels to API workers.

    Args:
        ready: Sent on each channel as it opens.
        methods: The batching of each method; `enabled` is False if its calls never
            share a batch.
        dispatcher: Takes groups and cancellations.
    """

    def __init__(
        self,
        *,
        ready: ReadyFrame,
        methods: Mapping[str, BatchingConfig],
        dispatcher: Dispatcher,
    ) -> None:
        self._ready = encode_record_frame(ready)
        self._methods = methods
        self._dispatcher = dispatcher
        self._keys: dict[bytes, CallKey] = {}

    def channel_opened(self, channel: Channel) -> None:
        """Report that the runner is ready."""
        channel.send([self._ready])

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Withdraw all calls of its API worker."""
        if isinstance(error, WireError):
            # The supervisor reports workers that merely ended.
            _log.warning("lost the channel to an API worker: %s", error)
        self._dispatcher.withdraw_all(channel)

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Read a group or a cancellation.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == CALLS:
            self._receive_calls(channel, frame)
        elif kind == CANCEL:
            cancel = decode_record(frame, CancelFrame)
            self._dispatcher.withdraw(channel, cancel.group_id, cancel.calls)
        else:
            raise WireError(f"an API worker sent a frame of kind {kind}")

    def _receive_calls(self, channel: Channel, frame: memoryview) -> None:
        calls = decode_calls(frame)
        key = self._keys.get(calls.key)
        if key is None:
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            key = self._keys[calls.key] = parse_record(calls.key, CallKey)
        batching = self._methods.get(key.method)
        if batching is None:
            raise WireError(f"an API worker called the unknown method {key.method!r}")
        if not all(calls.rows):
            raise WireError("an API worker sent a call without rows")
        due = calls.deadline
        if batching.enabled:
            due = min(due, calls.sent_at + batching.max_latency_ms / 1000)
        group = CallGroup(
            frame=calls,
            call_key=key,
            channel=channel,
            due=due,
            max_rows=batching.max_batch_size,
            alone=not batching.enabled or key.mode == OPAQUE,
            nbytes=len(frame),
        )
        group.columns = read_columns(calls, key)
        self._dispatcher.receive(group)
