"""What API workers send to a runner: groups and cancellations, from every channel.

transport/ calls it; it hands groups to the dispatcher, after naming their limits.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec

from headway.errors import WireError
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    CALLS,
    CANCEL,
    decode_calls,
    decode_record,
    encode_record_frame,
    kind_of_frame,
)
from headway.ipc.records import (
    OPAQUE,
    CallKey,
    CancelFrame,
    ReadyFrame,
    decode_call_key,
)
from headway.runner.batch import GroupPayload
from headway.scheduling.call_group import CallGroup

__all__ = ["GroupSink", "MethodLimits", "RunnerReceiver"]

_log = logging.getLogger(__name__)
_KEYS_KEPT = 1024


class MethodLimits(msgspec.Struct, frozen=True):
    """How calls of one method may be joined."""

    max_rows: int
    """Rows in a batch at the most."""
    max_latency_s: float
    """Seconds in the runner at the most; infinite where calls are not joined."""
    joins: bool
    """Whether calls share batches at all."""


class GroupSink(Protocol):
    """Takes what the inbox received; runner/dispatcher is the one."""

    def receive(self, group: CallGroup) -> None:
        """Queue or refuse a group."""
        ...

    def withdraw(self, group: CallGroup, call: int) -> None:
        """Nobody waits for this call any longer."""
        ...


class RunnerReceiver:
    """The owner of all channels to API workers.

    Args:
        ready: Sent on each channel as it opens.
        limits: By method.
        sink: Takes groups and cancellations.
    """

    def __init__(
        self,
        *,
        ready: ReadyFrame,
        limits: Mapping[str, MethodLimits],
        sink: GroupSink,
    ) -> None:
        self._ready = encode_record_frame(ready)
        self._limits = limits
        self._sink = sink
        self._keys: dict[bytes, CallKey] = {}
        self._cohorts: dict[Channel, dict[int, CallGroup]] = {}
        self._is_deserted = asyncio.Event()
        self._is_deserted.set()

    async def wait_deserted(self) -> None:
        """Return once no API worker is connected."""
        await self._is_deserted.wait()

    @property
    def channels(self) -> list[Channel]:
        """The channels that are open."""
        return list(self._cohorts)

    def channel_opened(self, channel: Channel) -> None:
        """Say that the runner is ready."""
        self._cohorts[channel] = {}
        self._is_deserted.clear()
        channel.send([self._ready])

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Withdraw everything that its API worker waited for."""
        if isinstance(error, WireError):
            # A worker that just went away is the supervisor's to report.
            _log.warning("lost the channel to an API worker: %s", error)
        for group in self._cohorts.pop(channel).values():
            for call in group.remaining_calls():
                self._sink.withdraw(group, call)
        if not self._cohorts:
            self._is_deserted.set()

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Take in a group or a cancellation.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == CALLS:
            self._receive_calls(channel, frame)
        elif kind == CANCEL:
            cancel = decode_record(frame, CancelFrame)
            group = self._cohorts[channel].get(cancel.group_id)
            if group is not None:
                for call in cancel.calls:
                    self._sink.withdraw(group, call)
        else:
            raise WireError(f"an API worker sent a frame of kind {kind}")

    def forget(self, group: CallGroup) -> None:
        """Stop keeping a group of which nothing is left in the queue."""
        load: GroupPayload = group.load
        groups = self._cohorts.get(load.channel)
        if groups is not None:
            groups.pop(load.group_id, None)

    def _receive_calls(self, channel: Channel, frame: memoryview) -> None:
        calls = decode_calls(frame)
        key = self._keys.get(calls.key)
        if key is None:
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            key = self._keys[calls.key] = decode_call_key(calls.key)
        limits = self._limits.get(key.method)
        if limits is None:
            raise WireError(f"an API worker called the unknown method {key.method!r}")
        if not all(calls.rows):
            raise WireError("an API worker sent a call without rows")
        group = CallGroup(
            key=calls.key,
            method=key.method,
            rows=calls.rows,
            due=min(calls.deadline, calls.sent_at + limits.max_latency_s),
            arrived_at=calls.sent_at,
            max_rows=limits.max_rows,
            priority=calls.priority,
            nbytes=len(frame),
            alone=not limits.joins or key.mode == OPAQUE,
            load=GroupPayload(
                channel=channel, group_id=calls.group_id, key=key, frame=calls
            ),
        )
        self._cohorts[channel][calls.group_id] = group
        self._sink.receive(group)
