"""A cohort on its way: the calls of one turn that may share a batch, until answered.

api/runner_client fills it while the turn lasts, sends it, and settles its futures.
"""

import asyncio
from typing import Any

from headway.errors import HeadwayError
from headway.payload.call import Buffer, EncodedCall
from headway.wire import encode_calls

__all__ = ["Flight"]


class Flight:
    """Calls with one key and deadlines within a millisecond.

    Args:
        number: Unique among the flights of a runner client.
        key: What the calls have in common.
        deadline: Monotonic seconds by which all must be answered.
        priority: Class, 0 the most urgent.
        pickled: Whether each call is a pickle, or all are columns of arrays.
    """

    __slots__ = (
        "calls",
        "deadline",
        "futures",
        "key",
        "nbytes",
        "number",
        "open",
        "pickled",
        "priority",
        "sent_at",
        "timer",
    )

    def __init__(
        self,
        *,
        number: int,
        key: bytes,
        deadline: float,
        priority: int,
        pickled: bool,
    ) -> None:
        self.number = number
        self.key = key
        self.deadline = deadline
        self.priority = priority
        self.pickled = pickled
        self.calls: list[EncodedCall] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.open = 0
        """Calls that the runner has not answered; it answers every one, once."""
        self.nbytes = 0
        self.sent_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def add(self, call: EncodedCall, future: asyncio.Future[Any]) -> int:
        """Add a call; return its index."""
        self.calls.append(call)
        self.futures.append(future)
        self.open += 1
        self.nbytes += call.nbytes
        return len(self.calls) - 1

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
            cohort_id=self.number,
            key=self.key,
            rows=[call.rows for call in calls],
            sizes=[call.nbytes for call in calls] if self.pickled else (),
            parts=parts,
            payload_bytes=self.nbytes,
            priority=self.priority,
            deadline=self.deadline - reserve_s,
            sent_at=sent_at,
        )

    def settle(self, first: int, results: list[Any]) -> int:
        """Give results to their callers; return the rows that nobody waited for."""
        wasted = 0
        for index, result in enumerate(results, first):
            future = self.futures[index]
            if future.done():
                wasted += self.calls[index].rows
            else:
                future.set_result(result)
        self.open -= len(results)
        return wasted

    def fail(self, first: int, calls: int, error: HeadwayError) -> None:
        """Give an error to the callers who still wait."""
        for future in self.futures[first : first + calls]:
            if not future.done():
                future.set_exception(_copy_of(error))
        self.open -= calls

    def waiting_any(self) -> bool:
        """Return whether anybody waits for an answer."""
        return not all(future.done() for future in self.futures)

    def waiting(self) -> list[int]:
        """Return the indices of the calls that are not answered."""
        return [i for i, future in enumerate(self.futures) if not future.done()]


def _copy_of(error: HeadwayError) -> HeadwayError:
    """Return an equal error: a raised one collects the traceback of its raiser."""
    return type(error)(
        error.message, error_id=error.error_id, retry_after_s=error.retry_after_s
    )
