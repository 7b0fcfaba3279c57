"""What the frames say once they are read.

wire makes them of bytes; api/pending_calls and runner/ read them. In a module of their
own,
for mypyc compiles no record that holds a memoryview.
"""

from typing import Final

import msgspec

from headway.ipc.message_records import ErrorRecord

__all__ = [
    "SIMILAR_BUDGETS",
    "CallsFrame",
    "CancelFrame",
    "FailureFrame",
    "ResultsFrame",
]

SIMILAR_BUDGETS: Final = 1.15
"""Ratio of the times left up to which two calls count as alike.

A results frame tells the backlog of calls like its own. What an API worker reserves for
the way back, a tenth at the most, changes from one call to the next.
"""


class CallsFrame(msgspec.Struct, gc=False):
    """A group as it arrives: calls that may share a batch, in order of deadline."""

    group_id: int
    key: bytes
    rows: tuple[int, ...]
    """Rows of each call."""
    sizes: tuple[int, ...]
    """Bytes of each call's pickle; empty where the columns are arrays."""
    priority: int
    deadline: float
    """Monotonic seconds by which the first of the calls must be answered."""
    sent_at: float
    """Monotonic seconds at which the API worker sent it."""
    payload: memoryview
    traces: bytes = b""
    """TRACE_BYTES for each call that belongs to a span; see tracing.parents."""


class ResultsFrame(msgspec.Struct, gc=False):
    """Results of `calls` neighbouring calls of a group."""

    group_id: int
    first: int
    calls: int
    key: bytes
    sizes: tuple[int, ...]
    """Bytes of each call's pickle; empty where the result is an array."""
    backlog_s: float
    """Seconds after which a row that arrives now would be answered."""
    row_s: float
    """Seconds that each row ahead of it adds to that."""
    queue_s: float
    """Seconds from the group's sending to the start of the batch."""
    compute_s: float
    """Seconds that the model took for the batch."""
    batch_rows: int
    payload: memoryview


class CancelFrame(msgspec.Struct, gc=False):
    """Calls of a group that nobody waits for."""

    group_id: int
    calls: tuple[int, ...]


class FailureFrame(msgspec.Struct, gc=False):
    """One error for `calls` neighbouring calls of a group."""

    group_id: int
    first: int
    calls: int
    error: ErrorRecord
