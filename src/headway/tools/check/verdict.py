"""What is wrong with a method's batches, in words: what was seen, and what to do.

tools/check/check and tools/check/trial find it, cli/check prints it.
"""

import math
from collections.abc import Sequence

import msgspec

from headway.tools.check.difference import Difference

__all__ = [
    "CHANGES",
    "RAISED_ALONE",
    "RAISED_TOGETHER",
    "RANDOM",
    "SAME_RESULTS",
    "SAME_ROWS",
    "Deviation",
    "Finding",
    "Misfit",
    "Verdict",
    "describe_deviations",
    "describe_misfits",
]

RANDOM = (
    "the model is random or remembers its last calls, so the rows of its batches were "
    "only counted: seed it in each call, or switch off what is meant for training "
    "(dropout, as `model.eval()` does)"
)
_MIXED_UP = (
    "these are the results of other rows of the batch: return rows in the order in "
    "which they came, else callers get each other's answers"
)
_SHAPE = (
    "rows of a batch are made alike, as by padding to the longest: cut each row of the "
    "output to what it would be alone, or declare it batchable=False"
)
_ROUNDING = (
    "that may be rounding, as sums are taken in another order in larger batches: if "
    "you can live with it, check again with a larger --rtol or --atol"
)
_NEIGHBOURS = (
    "what a row gets depends on the rows beside it: a mean, a scale, a rank or a "
    "normalisation over the batch (batch norm in training mode), or padding; use those "
    "of the training, or declare it batchable=False"
)
_OTHER_ROWS = (
    "a batchable method returns one row for each row that it gets, a single one "
    "included; else declare it batchable=False"
)
SAME_ROWS = (
    "all rows are the same (without floats to change, or as the model refuses changed "
    "ones): an effect of rows on each other may not show"
)
SAME_RESULTS = "all rows give the same result: rows that are mixed up would not show"
CHANGES = (
    "it changes its arguments in place: served, these are its own copy; after "
    "`init_local()` they are the caller's"
)
RAISED_ALONE = "mend the model or its sample"
RAISED_TOGETHER = (
    "each of its rows alone did not: the model does not take batches, or none of this "
    "size; declare it batchable=False, or lower max_batch_size"
)


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    what: str
    """What was seen."""
    advice: str
    """The likely cause, and what to do."""


class Misfit(msgspec.Struct, frozen=True):
    """An output that does not have a row for each row of the call."""

    what: str
    rows: int
    """Rows of the call."""
    axes: frozenset[int]
    """Axes of the output along which it does have as many."""


class Verdict(msgspec.Struct, frozen=True):
    """What is known of one method."""

    findings: tuple[Finding, ...] = ()
    """What is wrong; empty if nothing is."""
    rows: str = ""
    """The rows that it was run on."""
    batches: tuple[int, ...] = ()
    """Sizes of the batches, in rising order."""
    notes: tuple[str, ...] = ()
    """What limits the check, or should be known."""
    skipped: str = ""
    """Why it was not run; empty if it was."""


class Deviation(msgspec.Struct, frozen=True):
    """A row that got something else in a batch than alone."""

    number: int
    batch: int
    difference: Difference
    is_close: bool
    is_mixed_up: bool
    """Whether its batch gave the right results to the wrong rows."""


def describe_misfits(misfits: Sequence[Misfit], input_axis: int) -> Finding:
    """Return the finding of outputs with other rows than their calls.

    Args:
        misfits: At least one; the largest call is shown.
        input_axis: The method's axis of the rows in its arguments.
    """
    what = max(misfits, key=lambda misfit: misfit.rows).what
    axes = frozenset.intersection(*(misfit.axes for misfit in misfits))
    if not axes:
        return Finding(what, _OTHER_ROWS)
    return Finding(
        what,
        f"declare batch_dim=({input_axis}, {min(axes)}): the rows are on that axis",
    )


def describe_deviations(deviations: Sequence[Deviation], rows: int) -> Finding:
    """Return the finding of rows that differ, with the largest difference.

    Args:
        deviations: At least one.
        rows: Different rows that were tried.
    """

    def size(one: Deviation) -> float:
        return math.inf if one.difference.size is None else one.difference.size

    worst = max(deviations, key=size)
    apart = worst.difference
    many = len({one.number for one in deviations})
    place = f" at {apart.where}" if apart.where else ""
    what = (
        f"{many} of {rows} rows got something else, as row {worst.number}{place}: "
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
    return Finding(what, _NEIGHBOURS)
