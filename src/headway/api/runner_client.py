"""The API worker's end of a runner: calls go out together, answers find their callers.

It is the backend of a Runner handle (`await runner.predict.async_run(x)`). All calls
that one turn of the event loop makes go out in one write; a UnixLink or a LocalChannel
carries them.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from headway.api.blocking_calls import BLOCKING_CALLS
from headway.api.flight import Flight
from headway.api.terms import DEFAULT_PRIORITY
from headway.clock import Clock
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
from headway.metrics import Counter
from headway.payload.call import Buffer, CallEncoder
from headway.payload.result import decode_results
from headway.signature import MethodSpec
from headway.transport.base import Channel
from headway.wire import (
    FAILURE,
    READY,
    RESULTS,
    decode_failure,
    decode_results_frame,
    encode_cancel,
    kind_of_frame,
)
from headway.wire_errors import error_of

__all__ = ["DEADLINE", "PRIORITY", "RunnerClient"]

DEADLINE: Final[ContextVar[float]] = ContextVar("headway_deadline")
"""Monotonic seconds by which the request being served must be answered."""

PRIORITY: Final[ContextVar[int]] = ContextVar(
    "headway_priority", default=DEFAULT_PRIORITY
)
"""Class of the request being served, 0 the most urgent."""

_NUMBERS = 2**32


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
        self._clock = clock
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._wasted_rows = wasted_rows
        self._refused = refused
        self._free_at = 0.0
        """When the runner, by its last answer, has worked its backlog off."""
        self._latest = 0.0
        """The latest deadline of all that was sent."""
        self._encoder = CallEncoder()
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._number = 0
        self._bytes = 0
        self._boarding: dict[tuple[bytes, int, int], Flight] = {}
        self._cancelled: dict[int, list[int]] = {}
        self._flights: dict[int, Flight] = {}
        self._flush_is_due = False

    @property
    def is_ready(self) -> bool:
        """Whether the runner is loaded and warm."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return once the runner is loaded and warm."""
        await self._ready.wait()

    async def call(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a method; see RunnerMethod.async_run for what it raises."""
        if not self._ready.is_set():
            raise UnavailableError(
                f"runner {self.name!r} is being started; retry in a moment",
                retry_after_s=1.0,
            )
        now = self._clock.now()
        deadline = min(DEADLINE.get(now + self._timeout_s), now + self._timeout_s)
        if deadline <= now:
            raise DeadlineExceededError(
                f"the deadline passed before runner {self.name!r} was called"
            )
        if self._free_at > deadline >= self._latest:
            # It would go last, and the runner would refuse it too, but only after the
            # batch at hand. Of one that may overtake others the runner knows more.
            self._refused("predicted_late").add()
            raise OverloadedError(
                f"runner {self.name!r} refused the request: its backlog does not let "
                "the deadline be met; retry later",
                retry_after_s=self._free_at - deadline,
            )
        encoded = self._encoder.encode(method, args, kwargs)
        if self._bytes and self._bytes + encoded.nbytes > self._max_bytes:
            self._refused("queue_full").add()
            raise OverloadedError(
                f"runner {self.name!r}: {self._bytes} bytes are in flight already "
                "(max_queue_bytes)",
                retry_after_s=1.0,
            )
        self._latest = max(self._latest, deadline)
        flight = self._board(encoded.key, encoded.pickled, deadline)
        future = self._loop.create_future()
        index = flight.add(encoded, future)
        self._bytes += encoded.nbytes
        try:
            return await future
        finally:
            self._bytes -= encoded.nbytes
            if future.cancelled():
                self._cancel(flight, index)

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

    def _board(self, key: bytes, pickled: bool, deadline: float) -> Flight:
        """Return the flight that leaves this turn with calls like this one."""
        slot = int(min(deadline, 1e12) * 1000)
        priority = PRIORITY.get()
        place = (key, priority, slot)
        flight = self._boarding.get(place)
        if flight is None:
            self._number = (self._number + 1) % _NUMBERS
            flight = self._boarding[place] = Flight(
                number=self._number,
                key=key,
                deadline=deadline,
                priority=priority,
                pickled=pickled,
            )
            self._flush_soon()
        return flight

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        boarding, self._boarding = self._boarding, {}
        cancelled, self._cancelled = self._cancelled, {}
        buffers: list[Buffer] = []
        now = self._clock.now()
        for number, calls in cancelled.items():
            buffers.append(encode_cancel(cohort_id=number, calls=calls))
        for flight in boarding.values():
            self._depart(flight, now, buffers)
        if self._channel is not None and buffers:
            self._channel.send(buffers)

    def _depart(self, flight: Flight, now: float, buffers: list[Buffer]) -> None:
        if self._channel is None:
            flight.fail(0, len(flight.calls), self._lost())
            return
        if not flight.waiting_any():
            return
        try:
            frame = flight.frame(now)
        except WireError as error:
            flight.fail(0, len(flight.calls), error)
            return
        self._flights[flight.number] = flight
        if flight.deadline != float("inf"):
            flight.timer = self._loop.call_later(
                max(flight.deadline - now, 0), self._expire, flight
            )
        buffers.extend(frame)

    def _cancel(self, flight: Flight, index: int) -> None:
        """Tell the runner that nobody waits for a call any longer."""
        if flight.number in self._flights:
            self._cancelled.setdefault(flight.number, []).append(index)
            self._flush_soon()

    def _expire(self, flight: Flight) -> None:
        """Fail the calls of a flight whose deadline has passed."""
        waiting = flight.waiting()
        if not waiting:
            return
        self._cancelled.setdefault(flight.number, []).extend(waiting)
        self._flush_soon()
        for index in waiting:
            flight.futures[index].set_exception(
                DeadlineExceededError(
                    f"runner {self.name!r} did not answer within the deadline"
                )
            )

    def channel_opened(self, channel: Channel) -> None:
        """Wait for the runner to say that it is ready."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Fail all calls in flight at once."""
        self._channel = None
        self._free_at = 0.0
        self._ready.clear()
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            if flight.timer is not None:
                flight.timer.cancel()
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
            flight = self._flights.get(results.cohort_id)
            if flight is None:
                raise WireError(f"results for the unknown cohort {results.cohort_id}")
            self._free_at = self._clock.now() + results.backlog_s
            sizes = results.sizes or flight.rows(results.first, results.calls)
            try:
                values = decode_results(results.key, sizes, results.payload)
            except OutputError as error:
                flight.fail(results.first, results.calls, error)
            else:
                wasted = flight.settle(results.first, values)
                if wasted:
                    self._wasted_rows.add(wasted)
            self._land(flight)
        elif kind == FAILURE:
            failure = decode_failure(frame)
            flight = self._flights.get(failure.cohort_id)
            if flight is None:
                raise WireError(f"an error for the unknown cohort {failure.cohort_id}")
            flight.fail(failure.first, failure.calls, error_of(failure.error))
            self._land(flight)
        elif kind == READY:
            self._ready.set()
        else:
            raise WireError(f"runner {self.name!r} sent a frame of kind {kind}")

    def _land(self, flight: Flight) -> None:
        if flight.open <= 0:
            del self._flights[flight.number]
            if flight.timer is not None:
                flight.timer.cancel()
