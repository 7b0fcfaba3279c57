"""Calls a method on chosen rows, as a runner does, and returns its results by row.

check calls it. A call without a comparable result raises CallFailure.
"""

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.core.method_spec import MethodSpec
from headway.errors import OutputError
from headway.ipc.rows import (
    decode_results,
    encode_pickles,
    join,
    move_rows,
    row_count,
    take,
)
from headway.service.runnable import Runnable
from headway.tools.check.check_result import (
    RAISED_ALONE,
    RAISED_TOGETHER,
    Finding,
    RowMismatch,
)
from headway.tools.check.difference import EXACT, difference, only_row
from headway.tools.check.sample_rows import Row


class CallFailure(Exception):
    """A call without a comparable result: it raised, or its output has other rows.

    Args:
        problem: What was found.
        has_raised: Whether the model itself raised.
    """

    def __init__(
        self, problem: Finding | RowMismatch, *, has_raised: bool = False
    ) -> None:
        super().__init__(problem.what)
        self.problem = problem
        self.has_raised = has_raised


class MethodCaller:
    """A method, and the arguments common to all of its calls.

    Args:
        runnable: Object with the method.
        spec: How the method may be called.
        sample: Its positional arguments.
        places: The arguments that hold rows.
    """

    def __init__(
        self,
        *,
        runnable: Runnable,
        spec: MethodSpec,
        sample: Sequence[Any],
        places: Sequence[int | str],
    ) -> None:
        self._call = getattr(runnable, spec.name)
        self._spec = spec
        self._sample = sample
        self._places = places
        self.changes_arguments = False
        """Whether a call changed its arguments in place."""

    def run(self, rows: Sequence[Row], called: str) -> list[Any]:
        """Return the result of the method for each row.

        Args:
            rows: Rows in the order of the batch.
            called: Name of the call in a finding.

        Raises:
            CallFailure: If the method raises, or its result has another number of rows
                or cannot be sent.
        """
        # Pickled, as in production, so that nothing is shared.
        blob = pickle.dumps(self._arguments(rows), protocol=5)
        arguments = pickle.loads(blob)
        try:
            result = self._call(*arguments)
        except Exception as error:
            what = f"{called} raised {type(error).__name__}: {error}"
            advice = RAISED_ALONE if len(rows) == 1 else RAISED_TOGETHER
            raise CallFailure(Finding(what, advice), has_raised=True) from error
        if difference(pickle.loads(blob), arguments, EXACT) is not None:
            self.changes_arguments = True
        return self._rows_of(result, len(rows), called)

    def _arguments(self, rows: Sequence[Row]) -> list[Any]:
        arguments: dict[int | str, Any] = dict(enumerate(self._sample))
        axis = self._spec.batch_dim[0]
        for place, column in zip(self._places, zip(*rows, strict=True), strict=True):
            joined = join(column)
            arguments[place] = np.moveaxis(joined, 0, axis) if axis else joined
        return list(arguments.values())

    def _rows_of(self, result: Any, count: int, called: str) -> list[Any]:
        axis = self._spec.batch_dim[1]
        placed = move_rows(result, axis, 0)
        got = row_count(placed)
        if got != count:
            shape = getattr(result, "shape", None)
            kind = type(result).__name__ + (f" of shape {shape}" if shape else "")
            what = (
                f"{called} gave an output with {'no rows' if got is None else got} "
                f"along batch_dim {axis}: {kind}"
            )
            axes = [at for at, length in enumerate(shape or ()) if length == count]
            raise CallFailure(RowMismatch(what, count, frozenset(axes)))
        try:
            key, (blob,) = encode_pickles([placed])
            (sent,) = decode_results(key, [len(blob)], memoryview(blob))
        except OutputError as error:
            what = f"{called} gave an output that cannot be sent"
            raise CallFailure(Finding(what, error.message)) from error
        return [only_row(take(sent, row, row + 1)) for row in range(count)]
