"""Errors across the hop: a HeadwayError as a record, and the record as an error again.

runner/ sends them, api/ and runner/replica_link raise them on the other side.
"""

from collections.abc import Iterator

from headway.errors import HeadwayError, MethodNotAllowedError
from headway.ipc.message_records import ErrorRecord

__all__ = ["error_of", "record_of"]


def _tree(root: type[HeadwayError]) -> Iterator[type[HeadwayError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


# MethodNotAllowedError needs more than a message, and never crosses the hop.
_BY_CODE = {
    kind.code: kind for kind in _tree(HeadwayError) if kind is not MethodNotAllowedError
}


def record_of(error: HeadwayError) -> ErrorRecord:
    """Return what the other side needs to raise the same error."""
    return ErrorRecord(error.code, error.message, error.error_id, error.retry_after_s)


def error_of(record: ErrorRecord) -> HeadwayError:
    """Return the error; of the base class if its code is unknown here."""
    kind = _BY_CODE.get(record.code, HeadwayError)
    return kind(
        record.message, error_id=record.error_id, retry_after_s=record.retry_after_s
    )
