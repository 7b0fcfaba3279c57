"""The API worker's end of a runner: it sends calls together and settles their futures.

It is the backend of a Runner handle (`await runner.predict.async_run(x)`). All calls of
one event-loop turn go out in one write, through a UnixLink or a LocalChannel.
"""

import asyncio
import math
import threading
from collections.abc import Callable
from contextvars import Context
from itertools import chain
from typing import Any

from headway.api.admission import DeadlineWatch, QueueDelayEstimate
from headway.api.call_future import CallFuture
from headway.api.pending_calls import PendingCalls
from headway.api.request_options import REQUEST_OPTIONS, RequestOptions
from headway.api.thread_pool import BLOCKING_CALLS
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
from headway.ipc.call import CallEncoder, EncodedCall
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    FAILURE,
    READY,
    RESULTS,
    Buffer,
    decode_record,
    decode_results_frame,
    encode_record_frame,
    kind_of_frame,
)
from headway.ipc.records import CancelFrame, FailureFrame, error_of
from headway.ipc.rows import decode_results
from headway.metrics import Counter
from headway.observability.request_trace import CallRecord, RequestTrace

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
        watch: The API worker's, with its clock and event loop.
        wasted_rows: Counts rows computed for calls that had been cancelled.
        refused: Finds the counter of refusals by reason.

    Attributes:
        queue_delay: Refuses calls that would be late.
    """

    def __init__(
        self,
        *,
        name: str,
        timeout_s: float,
        max_bytes: int,
        watch: DeadlineWatch,
        wasted_rows: Counter,
        refused: Callable[[str], Counter],
    ) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._watch = watch
        self._now = watch.now
        self._loop = watch.loop
        self._loop_thread = threading.get_ident()
        self._wasted_rows = wasted_rows
        self._refused = refused
        self.queue_delay = QueueDelayEstimate(runner=name, refused=refused)
        self._encoder = CallEncoder()
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._number = 0
        self._bytes = 0
        self._unsent: dict[tuple[bytes, int, int, float], PendingCalls] = {}
        self._last: PendingCalls | None = None
        """The group of the last call, nearly always that of the next one too."""
        self._cancelled: dict[int, list[int]] = {}
        self._sent: dict[int, PendingCalls] = {}
        self._flush_is_due = False
        self._context = Context()
        """Groups are sent in it, not in the context of the turn's first request."""

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
        options = REQUEST_OPTIONS.get(None) or RequestOptions(math.inf)
        if options.trace is not None and record is None:
            return await self._recorded_call(options.trace, method, args, kwargs)
        if not self._ready.is_set():
            raise UnavailableError(
                f"runner {self.name!r} is being started; retry in a moment",
                retry_after_s=1.0,
            )
        queue_delay, now = self.queue_delay, self._now()
        if options.first_queue is None:
            options.first_queue = queue_delay
        deadline, priority = options.deadline, options.priority
        is_shortened = now + self._timeout_s < deadline
        if is_shortened:
            deadline = now + self._timeout_s
        if deadline <= now:
            raise DeadlineExceededError(
                f"the deadline passed before runner {self.name!r} was called"
            )
        late_s = queue_delay.late_s(deadline, priority, now)
        if late_s > 0:
            options.was_refused = True
            queue_delay.count_refusal()
            raise queue_delay.error(late_s)
        call = self._encoder.encode(method, args, kwargs)
        nbytes = call.nbytes
        if self._bytes and self._bytes + nbytes > self._max_bytes:
            raise self._full_error()
        queue_delay.add(call.rows, deadline, priority, method.name)
        future = CallFuture(loop=self._loop)
        future.task = None
        group = self._last
        if (
            group is None
            or call.key is not group.key
            or not group.due_from <= deadline <= group.due_to
            or priority != group.priority
        ):
            group = self._find_group(call, deadline, priority, now)
        index = group.add(call, future, deadline, record)
        group.is_watched |= is_shortened
        self._bytes += nbytes
        try:
            return await future
        except asyncio.CancelledError:
            self._cancel(group, index)
            raise
        finally:
            self._bytes -= nbytes
            # An error's traceback holds this frame, which must not hold the error: only
            # the garbage collector would find the two (benchmarks/overload.py).
            del future, group, call

    async def _recorded_call(
        self,
        trace: RequestTrace,
        method: MethodSpec,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run a method, and record the call in the trace of its request."""
        record = trace.begin_call(self.name, method.name)
        try:
            return await self.call(method, args, kwargs, record)
        except HeadwayError as error:
            record.failed = error.code
            raise
        except asyncio.CancelledError:
            record.failed = "cancelled"
            raise
        finally:
            trace.end_call(record)

    def _full_error(self) -> OverloadedError:
        self._refused("queue_full").add()
        return OverloadedError(
            f"runner {self.name!r}: {self._bytes} bytes are in flight already "
            "(max_queue_bytes); retry later",
            retry_after_s=1.0,
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
        # Its deadline ends the wait.
        future = asyncio.run_coroutine_threadsafe(
            self.call(method, args, kwargs), self._loop
        )
        calls = BLOCKING_CALLS.get(None)
        return future.result() if calls is None else calls.wait(future)

    def _find_group(
        self, call: EncodedCall, deadline: float, priority: int, now: float
    ) -> PendingCalls:
        """Return the group of this turn for calls like this one."""
        # A thousandth of the time left: no order is worth more frames than that.
        left_s = min(max(deadline - now, 1.0), _LONGEST_S)
        width_s = 2.0 ** math.floor(math.log2(left_s)) / 1024
        bucket = int(min(deadline, _NEVER) / width_s)
        place = (call.key, priority, bucket, width_s)
        group = self._unsent.get(place)
        if group is None:
            self._number = (self._number + 1) % _NUMBERS
            group = self._unsent[place] = PendingCalls(
                number=self._number,
                key=call.key,
                due_from=bucket * width_s,
                due_to=max((bucket + 1) * width_s, deadline),
                priority=priority,
                on_expired=self._expire,
            )
            self._flush_soon()
        self._last = group
        return group

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        """Send the groups and the cancellations of this turn."""
        self._flush_is_due = False
        self._last = None
        unsent, self._unsent = self._unsent, {}
        cancelled, self._cancelled = self._cancelled, {}
        buffers: list[Buffer] = []
        now = self._now()
        for number, calls in cancelled.items():
            buffers.append(encode_record_frame(CancelFrame(number, tuple(calls))))
        for group in unsent.values():
            if self._channel is None:
                group.fail(0, len(group.calls), self._lost_error())
                continue
            if all(future.done() for future in group.futures):
                continue
            reserve_s = self.queue_delay.reserve_s(group.earliest - now)
            try:
                frame = group.frame(now, reserve_s)
            except WireError as error:
                group.fail(0, len(group.calls), error)
                continue
            self._sent[group.number] = group
            if group.needs_watch():
                self._watch.enter(group)
            buffers.extend(frame)
        if self._channel is not None and buffers:
            self._channel.send(buffers)

    def _cancel(self, group: PendingCalls, index: int) -> None:
        """Withdraw a cancelled call from the runner, if it was sent."""
        if group.number in self._sent and group.futures[index].cancelled():
            self._cancelled.setdefault(group.number, []).append(index)
            self._flush_soon()

    def _expire(self, group: PendingCalls) -> None:
        """Fail the calls of a group whose deadline has passed."""
        waiting = [i for i, one in enumerate(group.futures) if not one.done()]
        if not waiting:
            return
        self._cancelled.setdefault(group.number, []).extend(waiting)
        self._flush_soon()
        for index in waiting:
            group.fail_call(
                index,
                DeadlineExceededError(
                    f"runner {self.name!r} did not answer within the deadline"
                ),
            )

    def channel_opened(self, channel: Channel) -> None:
        """Take the connection; the runner says when it is ready."""
        self._channel = channel

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Fail all calls in flight at once."""
        self._channel = None
        self.queue_delay.forget()
        self._ready.clear()
        sent, self._sent = self._sent, {}
        for group in sent.values():
            self._watch.leave(group)
            group.fail(0, len(group.calls), self._lost_error())

    def _lost_error(self) -> HeadwayError:
        return RunnerLostError(
            f"runner {self.name!r} died while it had this request; it is being "
            "started again",
            retry_after_s=1.0,
        )

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Settle the calls that a frame answers.

        Raises:
            WireError: If the frame is of another kind or does not parse.
        """
        kind = kind_of_frame(frame)
        if kind == RESULTS:
            results = decode_results_frame(frame)
            group = self._group_of(results.group_id)
            now = self._now()
            self.queue_delay.learn(results, group.sent_at, group.deadline, now)
            answered = group.calls[results.first : results.first + results.calls]
            sizes = results.sizes or [call.rows for call in answered]
            try:
                values = decode_results(results.key, sizes, results.payload)
            except OutputError as error:
                group.fail(results.first, results.calls, error)
            else:
                wasted = group.settle(results, values)
                if wasted:
                    self._wasted_rows.add(wasted)
        elif kind == FAILURE:
            failure = decode_record(frame, FailureFrame)
            group = self._group_of(failure.group_id)
            group.fail(failure.first, failure.calls, error_of(failure.error))
        elif kind == READY:
            self._ready.set()
            return
        else:
            raise WireError(f"runner {self.name!r} sent a frame of kind {kind}")
        if group.open > 0:
            return
        # The runner has answered all calls of the group.
        del self._sent[group.number]
        if group.slot is not None:
            self._watch.leave(group)
        if group.deadline >= self.queue_delay.latest:
            left = chain(self._sent.values(), self._unsent.values())
            self.queue_delay.latest = max((one.deadline for one in left), default=0.0)

    def _group_of(self, number: int) -> PendingCalls:
        group = self._sent.get(number)
        if group is None:
            raise WireError(f"runner {self.name!r} answered the unknown group {number}")
        return group
