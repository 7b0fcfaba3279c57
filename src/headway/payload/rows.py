"""The algebra of rows: count, take and join them in every container that batches.

call and result use it on both sides of the hop. Arrays come with their rows on axis 0;
frames and sparse matrices are known by their module, so that nothing is imported for
those who do not use them.
"""

import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from headway.errors import OutputError

__all__ = ["Kind", "join", "kind_of", "row_count", "take"]

Kind = Literal["array", "objects", "list", "tuple", "dict", "frame", "sparse"]


def kind_of(value: Any) -> Kind | None:
    """Return the kind of container, or None if the value has no rows.

    `array` travels as raw bytes; `objects` is an array whose elements need pickling.
    A tuple or dict stands for several results side by side, each with its own rows.
    """
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return None
        raw = not value.dtype.hasobject and value.dtype.names is None
        return "array" if raw and type(value) is np.ndarray else "objects"
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
    """Return rows `start` to `stop` of a container."""
    kind = kind_of(value)
    if kind == "tuple":
        return _like(value, [take(part, start, stop) for part in value])
    if kind == "dict":
        return {name: take(part, start, stop) for name, part in value.items()}
    if kind == "frame":
        return value.iloc[start:stop]
    if kind == "sparse":
        return value.tocsr()[start:stop]
    return value[start:stop]


def join(values: Sequence[Any]) -> Any:
    """Return one container with the rows of all, in order.

    Raises:
        OutputError: If the values are of kinds that cannot be joined.
    """
    first = values[0]
    if len(values) == 1:
        return first
    kind = kind_of(first)
    if kind in ("array", "objects"):
        return np.concatenate(values)
    if kind == "list":
        return [row for value in values for row in value]
    if kind == "tuple":
        return _like(first, [join(parts) for parts in zip(*values, strict=True)])
    if kind == "dict":
        return {name: join([value[name] for value in values]) for name in first}
    # Who holds a frame or a sparse matrix has imported its package.
    if kind == "frame":
        return sys.modules["pandas"].concat(values, ignore_index=True)
    if kind == "sparse":
        __import__("scipy.sparse")
        return sys.modules["scipy.sparse"].vstack(values, format="csr")
    raise OutputError(f"rows of {type(first).__name__} cannot be joined")


def _like(value: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    """Return parts as the same tuple type; named tuples take them one by one."""
    if hasattr(value, "_fields"):
        return type(value)(*parts)
    return tuple(parts)
