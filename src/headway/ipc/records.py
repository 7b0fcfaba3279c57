"""What frames, calls and results say: structs and their MessagePack encoding.

ipc/frames, ipc/call and ipc/rows make and read them; api/ and runner/ use the fields.
Not compiled: mypyc drops the annotations that msgspec reads.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from headway import errors
from headway.errors import HeadwayError, MethodNotAllowedError

ARRAYS: Final = 0
"""Mode of a call or result: all its columns are arrays and travel as raw bytes."""
PICKLED: Final = 1
"""Mode of a call or result with other rows (lists, frames, ...): a pickle for each."""
OPAQUE: Final = 2
"""Mode of a call that is never batched: a pickle of all its arguments."""

SIMILAR_BUDGETS: Final = 1.15
"""Ratio of the times left up to which two calls count as alike.

A results frame reports the queue delay of calls like its own. The time that an API
worker reserves for the way back, a tenth at most, changes from one call to the next.
"""

U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class ArgumentSpec(msgspec.Struct, frozen=True, array_like=True):
    """One argument that has rows."""

    place: int | str
    """Position, or keyword."""
    kind: str
    """Kind of container, as ipc/rows names it."""
    dtype: str = ""
    """NumPy dtype string, for arrays."""
    shape: tuple[int, ...] = ()
    """Shape without the rows, for arrays."""


class CallKey(msgspec.Struct, frozen=True, array_like=True):
    """What two calls must have in common to share a batch."""

    method: str
    mode: int
    arguments: tuple[ArgumentSpec, ...] = ()
    constants: bytes = b""
    """Pickle of the arguments without rows: {position or keyword: value}."""


class ResultKey(msgspec.Struct, frozen=True, array_like=True):
    """How to read the bytes of results."""

    mode: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    """Shape without the rows."""
    axis: int = 0
    """Axis on which the caller wants the rows."""


class CallsFrame(msgspec.Struct, gc=False):
    """A group of calls that may share a batch, in order of deadline."""

    group_id: int
    key: bytes
    rows: tuple[int, ...]
    """Rows of each call."""
    sizes: tuple[int, ...]
    """Bytes of each call's pickle; empty if the columns are arrays."""
    priority: int
    deadline: float
    """Monotonic seconds; the earliest deadline of the calls."""
    sent_at: float
    """Monotonic seconds at which the API worker sent the group."""
    payload: memoryview
    traces: bytes = b""
    """TRACE_BYTES for each traced call; see observability/trace_context."""


class ResultsFrame(msgspec.Struct, gc=False):
    """Results of `calls` consecutive calls of a group."""

    group_id: int
    first: int
    calls: int
    key: bytes
    sizes: Sequence[int]
    """Bytes of each call's pickle; empty if the result is an array."""
    queue_delay_s: float
    """Predicted seconds until a row that arrives now is answered."""
    row_s: float
    """Seconds that each row ahead of it adds to that."""
    queue_s: float
    """Seconds from the group's sending to the start of the batch."""
    compute_s: float
    """Seconds that the model took for the batch."""
    batch_rows: int
    payload: memoryview


class CancelFrame(msgspec.Struct, array_like=True, gc=False):
    """Calls of a group whose callers are gone."""

    group_id: U32
    calls: tuple[U32, ...]


class ErrorRecord(msgspec.Struct, frozen=True):
    """An error between processes."""

    code: str
    message: str
    error_id: str | None = None
    retry_after_s: float | None = None
    status: int | None = None
    """HTTP status; None for that of the class."""
    base: str = ""
    """Code of the nearest class of headway.errors, if `code` is a user's own."""


class FailureFrame(msgspec.Struct, array_like=True, gc=False):
    """One error for `calls` consecutive calls of a group."""

    group_id: U32
    first: U32
    calls: U32
    error: ErrorRecord


class ReadyFrame(msgspec.Struct, frozen=True):
    """Sent by a runner or replica once it is loaded and warm."""

    runner: str
    pid: int
    costs: dict[str, list[tuple[int, float]]] = {}
    """Rows and seconds of a replica's warm-up batches, by method."""


encode_record = msgspec.msgpack.Encoder().encode

_CODES: dict[type, str] = {
    kind: kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, HeadwayError)
    and kind is not MethodNotAllowedError  # the only one that takes more arguments
}
_BY_CODE: dict[str, type[HeadwayError]] = {code: kind for kind, code in _CODES.items()}


def record_of(error: HeadwayError) -> ErrorRecord:
    """Return an error as it travels; a user's subclass keeps its status and code."""
    base = _CODES.get(type(error))
    if base is None:
        base = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    return ErrorRecord(
        error.code,
        str(error.message or error),
        error.error_id,
        error.retry_after_s,
        error.status,
        "" if base == error.code else base,
    )


def error_of(record: ErrorRecord) -> HeadwayError:
    """Return the error of a record, of the nearest class that is known here."""
    kind = _BY_CODE.get(record.base or record.code, HeadwayError)
    error = kind(
        record.message, error_id=record.error_id, retry_after_s=record.retry_after_s
    )
    status = kind.status if record.status is None else record.status
    if (kind.code, kind.status) != (record.code, status):
        vars(error).update(code=record.code, status=status)
    return error
