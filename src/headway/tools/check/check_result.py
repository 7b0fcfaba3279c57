"""The result of checking a method, in words: what was found, and what to do.

check and method_caller create findings; cli/check prints them.
"""

import math
from collections.abc import Sequence

import msgspec

from headway.tools.check.difference import Difference

RANDOM = (
    "the model is random or keeps state between calls, so its results could not be "
    "compared, only counted: seed it in each call, or turn off training behaviour such "
    "as dropout (`model.eval()`)"
)
_MIXED_UP = (
    "these are the results of other rows of the batch: return rows in their input "
    "order, otherwise callers get each other's answers"
)
_SHAPE = (
    "the rows of a batch get the same shape, for example by padding to the longest: "
    "cut each output row to its shape alone, or declare the method batchable=False"
)
_ROUNDING = (
    "this may be rounding, because larger batches add in another order: if it is "
    "acceptable, check again with a larger --rtol or --atol"
)
_DEPENDENT = (
    "the result of a row depends on the other rows of its batch: a mean, a scale, a "
    "rank or a normalisation over the batch (batch norm in training mode), or padding; "
    "use the values of the training, or declare the method batchable=False"
)
_OTHER_ROWS = (
    "a batchable method returns one row for each input row, also for a single row; "
    "otherwise declare it batchable=False"
)
SAME_ROWS = (
    "all rows are equal (no floats to change, or the model refuses changed rows): an "
    "effect of rows on each other may not show"
)
SAME_RESULTS = (
    "all rows give the same result: results in the wrong order would not show"
)
CHANGES = (
    "it changes its arguments in place: in a runner they are its own copy, but after "
    "`init_local()` they are the caller's"
)
RAISED_ALONE = "correct the model or its sample"
RAISED_TOGETHER = (
    "each row alone did not raise: the model does not accept batches, or not of this "
    "size; declare the method batchable=False, or lower max_batch_size"
)


class Finding(msgspec.Struct, frozen=True):
    """A problem."""

    what: str
    """What was found."""
    advice: str
    """The likely cause, and what to do."""


class RowMismatch(msgspec.Struct, frozen=True):
    """An output with another number of rows than the call."""

    what: str
    rows: int
    """Rows of the call."""
    axes: frozenset[int]
    """Axes of the output with as many entries as the call has rows."""


class CheckResult(msgspec.Struct, frozen=True):
    """The result for one method."""

    findings: tuple[Finding, ...] = ()
    """The problems; empty if there are none."""
    rows: str = ""
    """Description of the rows that it was run on."""
    batches: tuple[int, ...] = ()
    """Sizes of the batches, in ascending order."""
    notes: tuple[str, ...] = ()
    """Limits of the check."""
    skipped: str = ""
    """Why it was not run; empty if it was."""


class Deviation(msgspec.Struct, frozen=True):
    """A row whose result in a batch differs from its result alone."""

    number: int
    batch: int
    difference: Difference
    is_close: bool
    is_mixed_up: bool
    """Whether its batch returned the right results for the wrong rows."""


def describe_mismatches(mismatches: Sequence[RowMismatch], input_axis: int) -> Finding:
    """Return the finding about outputs with another number of rows than their calls.

    Args:
        mismatches: At least one; the largest call is shown.
        input_axis: Axis of the rows in the method's arguments.
    """
    what = max(mismatches, key=lambda mismatch: mismatch.rows).what
    axes = frozenset.intersection(*(mismatch.axes for mismatch in mismatches))
    if not axes:
        return Finding(what, _OTHER_ROWS)
    return Finding(
        what,
        f"declare batch_dim=({input_axis}, {min(axes)}): the rows are on that axis",
    )


def describe_deviations(deviations: Sequence[Deviation], rows: int) -> Finding:
    """Return the finding about rows that differ, with the largest difference.

    Args:
        deviations: At least one.
        rows: Number of different rows tried.
    """

    def size(one: Deviation) -> float:
        return math.inf if one.difference.size is None else one.difference.size

    worst = max(deviations, key=size)
    apart = worst.difference
    many = len({one.number for one in deviations})
    place = f" at {apart.where}" if apart.where else ""
    what = (
        f"{many} of {rows} rows got another result, such as row {worst.number}{place}: "
        f"{apart.expected} alone, {apart.found} in a batch of {worst.batch} rows"
    )
    if apart.size is not None:
        what += f", a difference of {apart.size:.3g}"
    if all(one.is_mixed_up for one in deviations):
        return Finding(what, _MIXED_UP)
    if apart.is_shape:
        return Finding(what, _SHAPE)
    if all(one.is_close for one in deviations):
        return Finding(what, _ROUNDING)
    return Finding(what, _DEPENDENT)
