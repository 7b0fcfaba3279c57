"""What API workers send to a runner: cohorts and cancellations, from every channel.

transport/ calls it; it hands cohorts to the dispatcher, after naming their limits.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec

from headway.batching.cohort import Cohort
from headway.errors import WireError
from headway.payload.key import OPAQUE, CallKey, decode_key
from headway.runner.batch import CohortLoad
from headway.transport.base import Channel
from headway.wire import (
    CALLS,
    CANCEL,
    decode_calls,
    decode_cancel,
    encode_ready,
    kind_of_frame,
)
from headway.wire_records import ReadyRecord

__all__ = ["CohortSink", "Inbox", "MethodLimits"]

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


class CohortSink(Protocol):
    """Takes what the inbox received; runner/dispatcher is the one."""

    def receive(self, cohort: Cohort) -> None:
        """Queue or refuse a cohort."""
        ...

    def withdraw(self, cohort: Cohort, call: int) -> None:
        """Nobody waits for this call any longer."""
        ...


class Inbox:
    """The owner of all channels to API workers.

    Args:
        ready: Sent on each channel as it opens.
        limits: By method.
        sink: Takes cohorts and cancellations.
    """

    def __init__(
        self,
        *,
        ready: ReadyRecord,
        limits: Mapping[str, MethodLimits],
        sink: CohortSink,
    ) -> None:
        self._ready = encode_ready(ready)
        self._limits = limits
        self._sink = sink
        self._keys: dict[bytes, CallKey] = {}
        self._cohorts: dict[Channel, dict[int, Cohort]] = {}
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
        for cohort in self._cohorts.pop(channel).values():
            for call in cohort.remaining_calls():
                self._sink.withdraw(cohort, call)
        if not self._cohorts:
            self._is_deserted.set()

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Take in a cohort or a cancellation.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == CALLS:
            self._receive_calls(channel, frame)
        elif kind == CANCEL:
            cancel = decode_cancel(frame)
            cohort = self._cohorts[channel].get(cancel.cohort_id)
            if cohort is not None:
                for call in cancel.calls:
                    self._sink.withdraw(cohort, call)
        else:
            raise WireError(f"an API worker sent a frame of kind {kind}")

    def forget(self, cohort: Cohort) -> None:
        """Stop keeping a cohort of which nothing is left in the queue."""
        load: CohortLoad = cohort.load
        cohorts = self._cohorts.get(load.channel)
        if cohorts is not None:
            cohorts.pop(load.cohort_id, None)

    def _receive_calls(self, channel: Channel, frame: memoryview) -> None:
        calls = decode_calls(frame)
        key = self._keys.get(calls.key)
        if key is None:
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            key = self._keys[calls.key] = decode_key(calls.key)
        limits = self._limits.get(key.method)
        if limits is None:
            raise WireError(f"an API worker called the unknown method {key.method!r}")
        if not all(calls.rows):
            raise WireError("an API worker sent a call without rows")
        cohort = Cohort(
            key=calls.key,
            method=key.method,
            rows=calls.rows,
            due=min(calls.deadline, calls.sent_at + limits.max_latency_s),
            arrived_at=calls.sent_at,
            max_rows=limits.max_rows,
            priority=calls.priority,
            nbytes=len(frame),
            alone=not limits.joins or key.mode == OPAQUE,
            load=CohortLoad(
                channel=channel, cohort_id=calls.cohort_id, key=key, frame=calls
            ),
        )
        self._cohorts[channel][calls.cohort_id] = cohort
        self._sink.receive(cohort)
