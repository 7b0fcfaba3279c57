"""The API worker's end of a runner: calls go out together, answers find their callers.

It is the backend of a Runner handle (`await runner.predict.async_run(x)`). All calls
that one turn of the event loop makes go out in one write; a UnixLink or a LocalChannel
carries them.
"""

import asyncio
import math
import threading
from collections.abc import Callable
from contextvars import Context
from itertools import chain
from typing import Any

from headway.api.blocking_calls import BLOCKING_CALLS
from headway.api.call_future import CallFuture
from headway.api.call_record import CallRecord
from headway.api.pending_calls import PendingCalls
from headway.api.queue_delay import QueueDelayEstimate
from headway.api.request_options import REQUEST_OPTIONS, RequestOptions
from headway.api.round_trip import RoundTripEstimator
from headway.core.clock import Clock
from headway.core.method_spec import MethodSpec
from headway.errors import (
    DeadlineExceededError,
    HeadwayError,
    OutputError,
    OverloadedError,
    RunnerLostError,
    UnavailableError,
    UsageError,
    WireError,
)
from headway.ipc.call import Buffer, CallEncoder, EncodedCall
from headway.ipc.channel import Channel
from headway.ipc.error_records import error_of
from headway.ipc.frames import (
    FAILURE,
    READY,
    RESULTS,
    decode_failure,
    decode_results_frame,
    encode_cancel,
    kind_of_frame,
)
from headway.ipc.result import decode_results
from headway.metrics import Counter

__all__ = ["RunnerClient"]

_NUMBERS = 2**32
_LONGEST_S = 2.0**20
_NEVER = 1e12
"""Seconds; stands for no deadline where numbers have to be finite."""


class RunnerClient:
    """Carries the calls of one API worker to one runner.

    Args:
        name: The runner's.
        timeout_s: Seconds past which a call has failed, if its request has no earlier
            deadline; infinite for none.
        max_bytes: Bytes of calls in flight past which further ones are refused.
        clock: Stamps calls and deadlines.
        loop: The API worker's.
        wasted_rows: Counts rows computed for callers who had gone.
        refused: Finds the counter of refusals by reason.
    """

    def __init__(
        self,
        *,
        name: str,
        timeout_s: float,
        max_bytes: int,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        wasted_rows: Counter,
        refused: Callable[[str], Counter],
    ) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._now = clock.now
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._wasted_rows = wasted_rows
        self._refused = refused
        self._backlog = QueueDelayEstimate()
        self._hop = RoundTripEstimator()
        self._reserve_s = self._hop.reserve_s
        self._encode = CallEncoder().encode
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._number = 0
        self._bytes = 0
        self._boarding: dict[tuple[bytes, int, int, float], PendingCalls] = {}
        self._last: PendingCalls | None = None
        """The flight that was boarded last, nearly always that of the next call too."""
        self._cancelled: dict[int, list[int]] = {}
        self._flights: dict[int, PendingCalls] = {}
        self._flush_is_due = False
        self._context = Context()
        """What flights leave in: not that of the request that was the first to call."""
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    @property
    def is_ready(self) -> bool:
        """Whether the runner is loaded and warm."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return once the runner is loaded and warm."""
        await self._ready.wait()

    async def call(
        self,
        method: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        record: CallRecord | None = None,
    ) -> Any:
        """Run a method; see RunnerMethod.async_run for what it raises."""
        if not self._ready.is_set():
            raise UnavailableError(
                f"runner {self.name!r} is being started; retry in a moment",
                retry_after_s=1.0,
            )
        now = self._now()
        terms = REQUEST_OPTIONS.get(None) or RequestOptions(math.inf)
        if terms.first_call is None:
            terms.first_call = self
        deadline, priority = terms.deadline, terms.priority
        if now + self._timeout_s < deadline:
            deadline = now + self._timeout_s
        if deadline <= now:
            raise DeadlineExceededError(
                f"the deadline passed before runner {self.name!r} was called"
            )
        late_s = self.late_s(deadline, priority)
        if late_s > 0:
            terms.was_refused = True
            self.count_late()
            raise self.late_error(late_s)
        call = self._encode(method, args, kwargs)
        nbytes = call.nbytes
        if self._bytes and self._bytes + nbytes > self._max_bytes:
            raise self._full_error()
        self._backlog.add(call.rows, deadline, priority, method.name)
        future = CallFuture(loop=self._loop)
        future.task = None
        flight = self._last
        if (
            flight is None
            or call.key is not flight.key
            or not flight.first_due <= deadline <= flight.last_due
            or priority != flight.priority
        ):
            flight = self._find_flight(call, deadline, priority, now)
        index = flight.add(call, future, deadline, record)
        self._bytes += nbytes
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._cancel(flight, index)
            raise
        finally:
            self._bytes -= nbytes
            # An error's traceback holds this frame, which must not hold the error: only
            # the garbage collector would find the two (benchmarks/overload.py).
            del future, flight, call

    def _full_error(self) -> OverloadedError:
        self._refused("queue_full").add()
        return OverloadedError(
            f"runner {self.name!r}: {self._bytes} bytes are in flight already "
            "(max_queue_bytes)",
            retry_after_s=1.0,
        )

    def late_s(self, deadline: float, priority: int) -> float:
        """Return by how much the backlog certainly makes a call late; <= 0 if not."""
        now = self._now()
        return self._backlog.late_s(
            deadline, priority, self._reserve_s(deadline - now), now
        )

    def count_late(self) -> None:
        """Count a call that was refused because it would be late."""
        self._refused("predicted_late").add()

    def late_error(self, late_s: float) -> OverloadedError:
        """Return the error of such a call."""
        return OverloadedError(
            f"runner {self.name!r} refused the request: its backlog does not let the "
            "deadline be met; retry later",
            retry_after_s=late_s,
        )

    def call_blocking(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a method from a thread of a sync API function.

        Raises:
            UsageError: If called on the event loop's thread, which it would block.
        """
        if threading.get_ident() == self._loop_thread:
            raise UsageError(
                f"`runner.{method.name}.run` was called on the event loop, which it "
                f"would block: write `await runner.{method.name}.async_run(...)` in "
                "an async API function, or make the function a plain `def`"
            )
        # Its own deadline ends the wait, and the loop's thread settles it.
        future = asyncio.run_coroutine_threadsafe(
            self.call(method, args, kwargs), self._loop
        )
        calls = BLOCKING_CALLS.get(None)
        return future.result() if calls is None else calls.wait(future)

    def _find_flight(
        self, call: EncodedCall, deadline: float, priority: int, now: float
    ) -> PendingCalls:
        """Return the flight that leaves this turn with calls like this one."""
        # A thousandth of the time left: no order is worth more frames than that.
        left_s = min(max(deadline - now, 1.0), _LONGEST_S)
        width_s = 2.0 ** math.floor(math.log2(left_s)) / 1024
        slot = int(min(deadline, _NEVER) / width_s)
        place = (call.key, priority, slot, width_s)
        flight = self._boarding.get(place)
        if flight is None:
            self._number = (self._number + 1) % _NUMBERS
            flight = self._boarding[place] = PendingCalls(
                number=self._number,
                key=call.key,
                first_due=slot * width_s,
                last_due=max((slot + 1) * width_s, deadline),
                priority=priority,
                pickled=call.pickled,
            )
            self._flush_soon()
        self._last = flight
        return flight

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._last = None
        boarding, self._boarding = self._boarding, {}
        cancelled, self._cancelled = self._cancelled, {}
        buffers: list[Buffer] = []
        now = self._now()
        for number, calls in cancelled.items():
            buffers.append(encode_cancel(group_id=number, calls=calls))
        for flight in boarding.values():
            self._depart(flight, now, buffers)
        if self._channel is not None and buffers:
            self._channel.send(buffers)

    def _depart(self, flight: PendingCalls, now: float, buffers: list[Buffer]) -> None:
        if self._channel is None:
            flight.fail(0, len(flight.calls), self._lost())
            return
        if not flight.waiting_any():
            return
        try:
            frame = flight.frame(now, self._reserve_s(flight.deadline - now))
        except WireError as error:
            flight.fail(0, len(flight.calls), error)
            return
        self._flights[flight.number] = flight
        if flight.latest < self._alarm_at:
            self._set_alarm(flight.latest, now)
        buffers.extend(frame)

    def _set_alarm(self, at: float, now: float) -> None:
        # One for all flights: one for each would cost every turn two calls of the loop.
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(max(at - now, 0), self._expire_due)

    def _expire_due(self) -> None:
        """Fail the calls whose deadline has passed; look again at the next one."""
        now = max(self._now(), self._alarm_at)  # the loop's clock may be ahead of ours
        self._alarm, self._alarm_at = None, math.inf
        # A caller that is told goes on at once, and may call again.
        for flight in list(self._flights.values()):
            if flight.latest <= now:
                self._expire(flight)
        next_at = min(
            (one.latest for one in self._flights.values() if one.latest > now),
            default=math.inf,
        )
        if next_at < math.inf:
            self._set_alarm(next_at, now)

    def _cancel(self, flight: PendingCalls, index: int) -> None:
        """Tell the runner that nobody waits for a call any longer."""
        if flight.number in self._flights:
            self._cancelled.setdefault(flight.number, []).append(index)
            self._flush_soon()

    def _expire(self, flight: PendingCalls) -> None:
        """Fail the calls of a flight whose deadline has passed."""
        waiting = flight.waiting()
        if not waiting:
            return
        self._cancelled.setdefault(flight.number, []).extend(waiting)
        self._flush_soon()
        for index in waiting:
            flight.fail_call(
                index,
                DeadlineExceededError(
                    f"runner {self.name!r} did not answer within the deadline"
                ),
            )

    def channel_opened(self, channel: Channel) -> None:
        """Wait for the runner to say that it is ready."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Fail all calls in flight at once."""
        self._channel = None
        self._backlog.forget()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, math.inf
        self._ready.clear()
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            flight.fail(0, len(flight.calls), self._lost())

    def _lost(self) -> HeadwayError:
        return RunnerLostError(
            f"runner {self.name!r} died while it had this request; it is being "
            "started again",
            retry_after_s=1.0,
        )

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Give answers to their callers.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == RESULTS:
            results = decode_results_frame(frame)
            flight = self._flights.get(results.group_id)
            if flight is None:
                raise WireError(f"results for the unknown group {results.group_id}")
            now = self._now()
            budget_s = flight.latest - flight.sent_at
            self._backlog.told(results.backlog_s, results.row_s, budget_s, now)
            spent_s = results.queue_s + results.compute_s
            self._hop.learn(now - flight.sent_at - spent_s)
            sizes = results.sizes or flight.rows(results.first, results.calls)
            try:
                values = decode_results(results.key, sizes, results.payload)
            except OutputError as error:
                flight.fail(results.first, results.calls, error)
            else:
                wasted = flight.settle(results, values)
                if wasted:
                    self._wasted_rows.add(wasted)
            self._land(flight)
        elif kind == FAILURE:
            failure = decode_failure(frame)
            flight = self._flights.get(failure.group_id)
            if flight is None:
                raise WireError(f"an error for the unknown group {failure.group_id}")
            flight.fail(failure.first, failure.calls, error_of(failure.error))
            self._land(flight)
        elif kind == READY:
            self._ready.set()
        else:
            raise WireError(f"runner {self.name!r} sent a frame of kind {kind}")

    def _land(self, flight: PendingCalls) -> None:
        if flight.open <= 0:
            del self._flights[flight.number]
            if flight.latest >= self._backlog.latest:
                left = chain(self._flights.values(), self._boarding.values())
                self._backlog.latest = max((one.latest for one in left), default=0.0)
