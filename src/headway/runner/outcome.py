"""What became of a batch: results of its pieces, or errors.

runner/isolation makes them; the dispatcher and runner/results pass them on. In a module
of their own, for mypyc compiles no record that holds a memoryview.
"""

from collections.abc import Sequence

import msgspec

from headway.errors import HeadwayError
from headway.scheduling.call_group import BatchSlice

__all__ = ["Failure", "Outcome", "Success"]


class Success(msgspec.Struct, gc=False):
    """The result of some pieces, encoded for the hop.

    With sizes empty, every row of the result takes the same number of bytes; else
    there is a pickle for each call, of those sizes.
    """

    pieces: list[BatchSlice]
    key: bytes
    sizes: Sequence[int]
    payload: memoryview


class Failure(msgspec.Struct):
    """Pieces that got an error instead of a result."""

    pieces: list[BatchSlice]
    error: HeadwayError


Outcome = Success | Failure
