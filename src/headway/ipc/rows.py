"""The algebra of rows: count, take and join them in every container that batches.

call and result use it on both sides of the hop. Arrays come with their rows on axis 0;
frames and sparse matrices are known by their module, so that nothing is imported for
those who do not use them.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from headway.errors import OutputError, WireError

__all__ = ["Kind", "join", "kind_of", "raw_dtype", "row_count", "take"]

_RAW_KINDS: Final = frozenset("biufcmMSU")
"""NumPy's kinds of elements that are nothing but their bytes: no references, and a
dtype that its string tells in full (unlike structures and other packages' types)."""

Kind = Literal["array", "objects", "list", "tuple", "dict", "frame", "sparse"]


def kind_of(value: Any) -> Kind | None:
    """Return the kind of container, or None if the value has no rows.

    `array` travels as raw bytes; `objects` is an array whose elements need pickling.
    A tuple or dict stands for several results side by side, each with its own rows.
    """
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return None
        raw = type(value) is np.ndarray and _is_raw(value.dtype)
        return "array" if raw else "objects"
    if isinstance(value, list):
        return "list"
    if isinstance(value, tuple):
        return "tuple"
    if isinstance(value, dict):
        return "dict"
    root = type(value).__module__.partition(".")[0]
    if root == "pandas" and hasattr(value, "iloc"):
        return "frame"
    if root == "scipy" and getattr(value, "ndim", 0) == 2 and hasattr(value, "tocsr"):
        return "sparse"
    return None


def _is_raw(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in _RAW_KINDS and dtype.itemsize > 0


def raw_dtype(text: str) -> np.dtype[Any]:
    """Return the dtype of an array that travelled as raw bytes.

    Raises:
        WireError: If there is none, or it is not one of raw bytes.
    """
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError, SyntaxError) as error:
        raise WireError(f"an array on the wire has no dtype: {error}") from error
    if not _is_raw(dtype):
        # NumPy would take the bytes for addresses of objects.
        raise WireError(f"an array of {text!r} cannot travel as raw bytes")
    return dtype


def row_count(value: Any) -> int | None:
    """Return the number of rows along axis 0, or None if the value has none.

    The parts of a tuple or dict must agree; an empty one has no rows.
    """
    kind = kind_of(value)
    if kind is None:
        return None
    if kind in ("tuple", "dict"):
        parts = value.values() if kind == "dict" else value
        counts = {row_count(part) for part in parts}
        return counts.pop() if len(counts) == 1 else None
    return value.shape[0] if kind == "sparse" else len(value)


def take(value: Any, start: int, stop: int) -> Any:
    """Return rows `start` to `stop` of a container; a frame's index begins anew."""
    kind = kind_of(value)
    if kind == "tuple":
        return _like(value, [take(part, start, stop) for part in value])
    if kind == "dict":
        return {name: take(part, start, stop) for name, part in value.items()}
    if kind == "frame":
        # Else an index would tell where in which batch its rows were.
        return value.iloc[start:stop].reset_index(drop=True)
    if kind == "sparse":
        return value.tocsr()[start:stop]
    return value[start:stop]


def join(values: Sequence[Any]) -> Any:
    """Return one container with the rows of all, in order; frames lose their index.

    Raises:
        OutputError: If the values are of kinds or shapes that cannot be joined.
    """
    try:
        return _join(values)
    except Exception as error:
        # Containers raise whatever they like.
        names = sorted({type(value).__name__ for value in values})
        raise OutputError(
            f"rows of {len(values)} parts ({', '.join(names)}) cannot be joined: "
            f"{type(error).__name__}: {error}"
        ) from error


def _join(values: Sequence[Any]) -> Any:
    first = values[0]
    kind = kind_of(first)
    if len(values) == 1:
        return first.reset_index(drop=True) if kind == "frame" else first
    if kind in ("array", "objects"):
        if isinstance(first, np.ma.MaskedArray):
            return np.ma.concatenate(values)  # type: ignore[no-untyped-call]  # NumPy's
        return np.concatenate(values)
    if kind == "list":
        return [row for value in values for row in value]
    if kind == "tuple":
        return _like(first, [_join(parts) for parts in zip(*values, strict=True)])
    if kind == "dict":
        return {name: _join([value[name] for value in values]) for name in first}
    # Who holds a frame or a sparse matrix has imported its package.
    if kind == "frame":
        return sys.modules["pandas"].concat(values, ignore_index=True)
    if kind == "sparse":
        __import__("scipy.sparse")
        return sys.modules["scipy.sparse"].vstack(values, format="csr")
    raise TypeError("these are no rows")


def _like(value: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    """Return parts as the same tuple type; named tuples take them one by one."""
    if hasattr(value, "_fields"):
        return type(value)(*parts)
    return tuple(parts)
