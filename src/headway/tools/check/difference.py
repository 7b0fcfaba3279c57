"""Finds where two values differ: numbers beyond a tolerance, other values at all.

check compares the result of a row alone with its result in a batch, in any container.
"""

import reprlib
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from headway.ipc.rows import kind_of

_NUMERIC_KINDS = frozenset("biufc")


class Tolerance(msgspec.Struct, frozen=True):
    """Allowed difference of numbers: `atol + rtol * |value|`, as in numpy.allclose."""

    rtol: float
    atol: float


EXACT = Tolerance(0.0, 0.0)


class Difference(msgspec.Struct, frozen=True):
    """Where two values differ: the largest difference in an array, or the first."""

    where: str
    """Path to it, such as `['score'][2]`; empty for the values themselves."""
    expected: str
    found: str
    size: float | None = None
    """Absolute difference of numbers; None for other values."""
    is_shape: bool = False
    """Whether the number of values differs."""


def only_row(value: Any) -> Any:
    """Return the only row of a container."""
    kind = kind_of(value)
    if kind == "tuple":
        return tuple(only_row(part) for part in value)
    if kind == "dict":
        return {name: only_row(part) for name, part in value.items()}
    if kind == "frame":
        if value.ndim == 1:
            return value.iloc[0]
        return {name: value.iloc[0, at] for at, name in enumerate(value.columns)}
    if kind == "sparse":
        return value.toarray()[0]
    return value[0]


def difference(
    expected: Any, found: Any, tolerance: Tolerance, where: str = ""
) -> Difference | None:
    """Return where two values differ, or None.

    NaN equals NaN, and an integer equals a float of the same value, because the dtype
    of a batch may depend on all of its rows.
    """
    expected, found = _without_frames(expected), _without_frames(found)
    if _is_numeric(expected) and _is_numeric(found):
        return _of_numbers(np.asarray(expected), np.asarray(found), tolerance, where)
    if isinstance(expected, np.ndarray) and isinstance(found, np.ndarray):
        # As lists of objects, with None for masked values.
        expected, found = expected.tolist(), found.tolist()
    if type(expected) is not type(found):
        names = type(expected).__name__, type(found).__name__
        return Difference(where, f"a {names[0]}", f"a {names[1]}")
    if isinstance(expected, list | tuple):
        if len(expected) != len(found):
            return Difference(
                where,
                f"{len(expected)} values",
                f"{len(found)} values",
                is_shape=True,
            )
        places: Iterable[Any] = range(len(expected))
    elif isinstance(expected, dict):
        if expected.keys() != found.keys():
            keys = reprlib.repr(list(expected)), reprlib.repr(list(found))
            return Difference(where, f"keys {keys[0]}", f"keys {keys[1]}")
        places = expected
    else:
        return _of_objects(expected, found, tolerance, where)
    inner = (
        difference(expected[at], found[at], tolerance, f"{where}[{at!r}]")
        for at in places
    )
    return next((one for one in inner if one is not None), None)


def _without_frames(value: Any) -> Any:
    """Return a frame as columns or a list, and a sparse matrix as an array."""
    kind = kind_of(value)
    if kind == "frame":
        return value.tolist() if value.ndim == 1 else value.to_dict("list")
    return value.toarray() if kind == "sparse" else value


def _is_numeric(value: Any) -> bool:
    if isinstance(value, np.ma.MaskedArray):
        return False
    if not isinstance(value, np.ndarray | np.generic | int | float | complex):
        return False
    return np.asarray(value).dtype.kind in _NUMERIC_KINDS


def _of_numbers(
    expected: np.ndarray[Any, Any],
    found: np.ndarray[Any, Any],
    tolerance: Tolerance,
    where: str,
) -> Difference | None:
    if expected.shape != found.shape:
        return Difference(
            where,
            f"an array of shape {expected.shape}",
            f"an array of shape {found.shape}",
            is_shape=True,
        )
    with np.errstate(all="ignore"):
        if {expected.dtype.kind, found.dtype.kind} & {"f", "c"}:
            same = np.isclose(
                found, expected, tolerance.rtol, tolerance.atol, equal_nan=True
            )
        else:
            same = found == expected
        if np.all(same):
            return None
        wide = np.result_type(expected, found, np.float64)
        sizes = np.abs(found.astype(wide) - expected.astype(wide))
    sizes = np.where(same, -1.0, np.nan_to_num(sizes, nan=np.inf, posinf=np.inf))
    worst = np.unravel_index(np.argmax(sizes), sizes.shape)
    return Difference(
        where + (f"[{', '.join(map(str, worst))}]" if worst else ""),
        str(expected[worst]),
        str(found[worst]),
        float(sizes[worst]),
    )


def _of_objects(
    expected: Any, found: Any, tolerance: Tolerance, where: str
) -> Difference | None:
    if expected is found or _is_equal(expected, found):
        return None
    if inside := getattr(expected, "__dict__", None):
        # Its class has no equality, or only an exact one.
        return difference(inside, vars(found), tolerance, where)
    return Difference(where, reprlib.repr(expected), reprlib.repr(found))


def _is_equal(expected: Any, found: Any) -> bool:
    try:
        # NaN and NaT do not equal themselves.
        return bool(expected == found or (expected != expected and found != found))
    except Exception:  # noqa: BLE001 - a user's class may raise anything
        return False
