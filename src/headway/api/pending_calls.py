"""A group on its way: the calls of one turn that may share a batch, until answered.

api/runner_client fills it while the turn lasts, sends it, and settles its futures.
"""

import math
from typing import Any

from headway.api.call_future import CallFuture
from headway.api.call_record import CallRecord
from headway.errors import HeadwayError
from headway.ipc.call import Buffer, EncodedCall
from headway.ipc.frame_records import ResultsFrame
from headway.ipc.frames import encode_calls
from headway.observability.trace_context import pack_call

__all__ = ["PendingCalls"]

_MOST_TRACED = 2**16 - 1


class PendingCalls:
    """Calls with one key and class, and deadlines within a thousandth of their time.

    Args:
        number: Unique among the flights of a runner client.
        key: What the calls have in common.
        first_due: Monotonic seconds; no call may be due before.
        last_due: Nor any after.
        priority: Class, 0 the most urgent.
        pickled: Whether each call is a pickle, or all are columns of arrays.
    """

    __slots__ = (
        "calls",
        "deadline",
        "first_due",
        "futures",
        "key",
        "last_due",
        "latest",
        "nbytes",
        "number",
        "open",
        "pickled",
        "priority",
        "records",
        "sent_at",
    )

    def __init__(
        self,
        *,
        number: int,
        key: bytes,
        first_due: float,
        last_due: float,
        priority: int,
        pickled: bool,
    ) -> None:
        self.number = number
        self.key = key
        self.first_due = first_due
        self.last_due = last_due
        self.deadline = math.inf
        """The earliest of its calls."""
        self.latest = -math.inf
        """The latest of its calls."""
        self.priority = priority
        self.pickled = pickled
        self.calls: list[EncodedCall] = []
        self.futures: list[CallFuture] = []
        self.open = 0
        """Calls that the runner has not answered; it answers every one, once."""
        self.nbytes = 0
        self.sent_at = 0.0
        self.records: dict[int, CallRecord] | None = None
        """Of the calls of which is noted what became of them, if there are any."""

    def add(
        self,
        call: EncodedCall,
        future: CallFuture,
        deadline: float,
        record: CallRecord | None = None,
    ) -> int:
        """Add a call; return its index."""
        if deadline < self.deadline:
            self.deadline = deadline
        if deadline > self.latest:
            self.latest = deadline
        self.nbytes += call.nbytes
        self.futures.append(future)
        calls = self.calls
        calls.append(call)
        self.open = count = len(calls)
        if record is not None:
            if self.records is None:
                self.records = {}
            self.records[count - 1] = record
        return count - 1

    def rows(self, first: int, calls: int) -> list[int]:
        """Return the rows of some calls."""
        return [call.rows for call in self.calls[first : first + calls]]

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
        return encode_calls(
            group_id=self.number,
            key=self.key,
            rows=[call.rows for call in calls],
            sizes=[call.nbytes for call in calls] if self.pickled else (),
            parts=parts,
            payload_bytes=self.nbytes,
            priority=self.priority,
            deadline=self.deadline - reserve_s,
            sent_at=sent_at,
            traces=b"" if self.records is None else self._traces(self.records),
        )

    def _traces(self, records: dict[int, CallRecord]) -> bytes:
        """Return the spans of the calls that have one."""
        traced = [
            pack_call(index, record.span_ids)
            for index, record in records.items()
            if record.span_ids is not None
        ]
        # No more than the frame can count.
        return b"".join(traced[:_MOST_TRACED])

    def settle(self, frame: ResultsFrame, results: list[Any]) -> int:
        """Give results to their callers; return the rows that nobody waited for.

        Args:
            frame: Which calls they are of, and what their batch was like.
            results: As its payload has them.
        """
        first, wasted = frame.first, 0
        if self.records is not None:
            for index in range(first, first + len(results)):
                if index in self.records:
                    self.records[index].answered(frame)
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
        """Give the runner's error to the callers who still wait."""
        self.open -= calls
        for index in range(first, first + calls):
            self.fail_call(index, _copy_of(error))

    def fail_call(self, index: int, error: HeadwayError) -> None:
        """Give an error to a caller, if he still waits."""
        future = self.futures[index]
        if future.done():
            return
        # This frame is found from the error's traceback, which must not be found from
        # it: only the garbage collector would see to the two.
        self.futures[index] = _OVER
        task = future.task
        future.set_exception(error)
        del future, error
        if task is not None:
            task.wake()

    def waiting_any(self) -> bool:
        """Return whether anybody waits for an answer."""
        return not all(future.done() for future in self.futures)

    def waiting(self) -> list[int]:
        """Return the indices of the calls that are not answered."""
        return [i for i, future in enumerate(self.futures) if not future.done()]


class _Over:
    """In the place of a future that had its error."""

    def done(self) -> bool:
        return True


_OVER: Any = _Over()


def _copy_of(error: HeadwayError) -> HeadwayError:
    """Return an equal error: a raised one collects the traceback of its raiser."""
    return type(error)(
        error.message, error_id=error.error_id, retry_after_s=error.retry_after_s
    )
