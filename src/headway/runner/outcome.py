"""What became of a batch: results of its slices, or errors.

runner/executor makes outcomes; runner/batch sends them. mypyc cannot compile structs
that hold a memoryview, so that they have an uncompiled module of their own.
"""

from collections.abc import Sequence

import msgspec

from headway.errors import HeadwayError
from headway.scheduling.queue import BatchSlice

__all__ = ["Failure", "Outcome", "Success"]


class Success(msgspec.Struct, gc=False):
    """The result of some slices, encoded for a frame.

    If `sizes` is empty, every row of the result takes the same number of bytes;
    otherwise there is a pickle for each call, of those sizes.
    """

    slices: list[BatchSlice]
    key: bytes
    sizes: Sequence[int]
    payload: memoryview


class Failure(msgspec.Struct):
    """Slices that got an error instead of a result."""

    slices: list[BatchSlice]
    error: HeadwayError


Outcome = Success | Failure
