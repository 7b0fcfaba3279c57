"""The calls of one event-loop turn that may share a batch, until they are answered.

api/runner_client fills a group while the turn lasts, sends it, and settles its futures.
"""

import math
from collections.abc import Callable
from typing import Any

from headway.api.call_future import CallFuture
from headway.errors import HeadwayError
from headway.ipc.call import EncodedCall
from headway.ipc.frames import Buffer, encode_calls
from headway.ipc.records import ResultsFrame
from headway.observability.request_trace import CallRecord
from headway.observability.trace_context import pack_call

_MAX_TRACED = 2**16 - 1
"""As many as the frame can count."""


class PendingCalls:
    """Calls with one key and class, and deadlines within a thousandth of their time.

    Args:
        number: Unique among the groups of a runner client.
        key: What the calls have in common.
        due_from: Monotonic seconds; the earliest deadline that a call may have.
        due_to: The latest one.
        priority: Class, 0 the most urgent.
        on_expired: Called by the deadline watch when the last deadline has passed.

    Attributes:
        earliest: Deadline of its calls.
        deadline: The latest of its calls.
        open: Calls that the runner has not answered; it answers each of them once.
        is_watched: Whether a call has a deadline of its own, before its request's.
        slot: The deadline watch's.
        records: Of the calls that are recorded, if there are any.
    """

    __slots__ = (
        "calls",
        "deadline",
        "due_from",
        "due_to",
        "earliest",
        "futures",
        "is_watched",
        "key",
        "number",
        "on_expired",
        "open",
        "priority",
        "records",
        "sent_at",
        "slot",
    )

    def __init__(
        self,
        *,
        number: int,
        key: bytes,
        due_from: float,
        due_to: float,
        priority: int,
        on_expired: Callable[["PendingCalls"], None],
    ) -> None:
        self.number = number
        self.key = key
        self.due_from = due_from
        self.due_to = due_to
        self.earliest = math.inf
        self.deadline = -math.inf
        self.priority = priority
        self.on_expired = on_expired
        self.calls: list[EncodedCall] = []
        self.futures: list[CallFuture] = []
        self.open = 0
        self.sent_at = 0.0
        self.is_watched = False
        self.slot: Any = None
        self.records: dict[int, CallRecord] | None = None

    def add(
        self,
        call: EncodedCall,
        future: CallFuture,
        deadline: float,
        record: CallRecord | None = None,
    ) -> int:
        """Add a call; return its index."""
        if deadline < self.earliest:
            self.earliest = deadline
        if deadline > self.deadline:
            self.deadline = deadline
        self.futures.append(future)
        calls = self.calls
        calls.append(call)
        self.open = count = len(calls)
        if record is not None:
            if self.records is None:
                self.records = {}
            self.records[count - 1] = record
        return count - 1

    def needs_watch(self) -> bool:
        """Return whether its calls need a watch besides that of their requests.

        A request's deadline cancels only the calls that its own task awaits.
        """
        return self.is_watched or any(future.task is None for future in self.futures)

    def frame(self, sent_at: float, reserve_s: float) -> list[Buffer]:
        """Return the CALLS frame.

        Args:
            sent_at: Monotonic seconds.
            reserve_s: How long before its deadline the runner has to be done.
        """
        self.sent_at = sent_at
        calls = self.calls
        parts: list[Buffer] = [
            call.parts[column]
            for column in range(len(calls[0].parts))
            for call in calls
        ]
        sizes = [call.nbytes for call in calls]
        spans = [
            pack_call(index, record.span_ids)
            for index, record in (self.records or {}).items()
            if record.span_ids is not None
        ]
        return encode_calls(
            group_id=self.number,
            key=self.key,
            rows=[call.rows for call in calls],
            sizes=sizes if calls[0].pickled else (),
            parts=parts,
            payload_bytes=sum(sizes),
            priority=self.priority,
            deadline=self.earliest - reserve_s,
            sent_at=sent_at,
            traces=b"".join(spans[:_MAX_TRACED]),
        )

    def settle(self, frame: ResultsFrame, results: list[Any]) -> int:
        """Give results to the calls; return the rows of calls that were cancelled.

        Args:
            frame: Which calls they are of, and what their batch was like.
            results: Of its payload.
        """
        first, wasted = frame.first, 0
        if self.records is not None:
            for index in range(first, first + len(results)):
                record = self.records.get(index)
                if record is not None:
                    record.queue_s = frame.queue_s
                    record.compute_s = frame.compute_s
                    record.batch_rows = frame.batch_rows
        self.open -= len(results)
        for index, result in enumerate(results, first):
            future = self.futures[index]
            if future.done():
                wasted += self.calls[index].rows
                continue
            future.set_result(result)
            if future.task is not None:
                future.task.wake()
        return wasted

    def fail(self, first: int, calls: int, error: HeadwayError) -> None:
        """Give the runner's error to the calls that are not done."""
        self.open -= calls
        for index in range(first, first + calls):
            # Each its own: a raised error collects the traceback of its raiser.
            self.fail_call(index, error.copied())

    def fail_call(self, index: int, error: HeadwayError) -> None:
        """Give an error to a call, if it is not done."""
        future = self.futures[index]
        if future.done():
            return
        # This frame is found from the error's traceback, which must not be found from
        # it: only the garbage collector would see to the two.
        self.futures[index] = _DONE
        task = future.task
        future.set_exception(error)
        del future, error
        if task is not None:
            task.wake()

    def expire(self) -> None:
        """End the calls: the last deadline has passed."""
        self.on_expired(self)


class _Done:
    """In the place of a future that got its error."""

    task = None

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False


_DONE: Any = _Done()
