"""Makes several different rows from the sample of a method, often a single row.

check runs the method on them, alone and in batches.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.ipc.rows import kind_of, take
from headway.tools.check.difference import EXACT, difference

Row = tuple[Any, ...]
"""A container of one row for each argument with rows."""

_STRENGTH = 0.5


def split(columns: Sequence[Any], count: int) -> list[Row]:
    """Return the first `count` rows of the arguments."""
    return [
        tuple(take(column, at, at + 1) for column in columns) for at in range(count)
    ]


def variants(rows: Sequence[Row], count: int) -> list[Row]:
    """Return `count` copies of the given rows with their floats changed.

    The first ones change by up to half of the value, later ones by less, because a
    model may refuse large changes but accept small ones. A float keeps its sign; zero
    becomes a positive number. The result is empty if the rows hold no floats.
    """
    generator = np.random.default_rng(0)
    made = []
    for number in range(count):
        original = rows[number % len(rows)]
        strength = _STRENGTH / (1 + number // len(rows))
        row = tuple(_varied(column, generator, strength) for column in original)
        if difference(original, row, EXACT) is not None:
            made.append(row)
    return made


def _varied(value: Any, generator: np.random.Generator, strength: float) -> Any:
    """Return a value with its floats changed, at any depth."""
    if isinstance(value, float | np.floating):
        return type(value)(value + _change(np.asarray(value), generator, strength))
    kind = kind_of(value)
    if kind == "array":
        if value.dtype.kind != "f":
            return value
        changed = value + _change(value, generator, strength)
        return changed.astype(value.dtype)
    if kind == "list":
        return [_varied(one, generator, strength) for one in value]
    if type(value) is tuple:
        return tuple(_varied(one, generator, strength) for one in value)
    if kind == "dict":
        return {name: _varied(one, generator, strength) for name, one in value.items()}
    if kind == "sparse":
        changed = value.copy()
        changed.data = _varied(value.data, generator, strength)
        return changed
    if kind == "frame":
        return _varied_frame(value, generator, strength)
    return value


def _varied_frame(frame: Any, generator: np.random.Generator, strength: float) -> Any:
    if frame.ndim == 1:
        if getattr(frame.dtype, "kind", "") != "f":
            return frame
        numbers = frame.to_numpy(dtype="f8", na_value=np.nan)
        return (frame + _change(numbers, generator, strength)).astype(frame.dtype)
    changed = frame.copy()
    for at in range(frame.shape[1]):
        column = frame.iloc[:, at]
        changed.isetitem(at, _varied_frame(column, generator, strength))
    return changed


def _change(
    numbers: np.ndarray[Any, Any], generator: np.random.Generator, strength: float
) -> Any:
    """Return the change to add to numbers."""
    parts = generator.uniform(-strength, strength, numbers.shape)
    change = np.where(numbers == 0, np.abs(parts), numbers * parts)
    return np.where(np.isfinite(numbers), change, 0.0)
