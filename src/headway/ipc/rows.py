"""Rows in every container that batches: count, take, join, encode and decode them.

ipc/call, runner/ and api/runner_client use it; tools/check compares by it. Arrays come
with their rows on axis 0. Frames and sparse matrices are recognised by their module, so
that their packages need not be imported.
"""

import pickle
import sys
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from headway.errors import OutputError, WireError
from headway.ipc.frames import Buffer, parse_record
from headway.ipc.records import ARRAYS, PICKLED, ResultKey, encode_record

COPY_BELOW_BYTES: Final = 65536
"""Smaller arrays are copied: a copy of a few rows costs less than the bookkeeping of a
buffer (benchmarks/micro/bench_codec.py)."""

_RAW_KINDS: Final = frozenset("biufcmMSU")
"""NumPy's kinds of elements that consist of their bytes alone: without references, and
fully described by the dtype's string (unlike structures and other packages' types)."""

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
        WireError: If the text is not a dtype, or not one of raw bytes.
    """
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError, SyntaxError) as error:
        raise WireError(f"an array on the wire has no dtype: {error}") from error
    if not _is_raw(dtype):
        # NumPy would take the bytes for addresses of objects.
        raise WireError(f"an array of {text!r} cannot travel as raw bytes")
    return dtype


def raw_bytes(array: np.ndarray[Any, Any]) -> Buffer:
    """Return an array's elements in C order; see COPY_BELOW_BYTES."""
    if array.nbytes < COPY_BELOW_BYTES:
        return array.tobytes()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


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


def move_rows(value: Any, source: int, axis: int) -> Any:
    """Return a value with its rows moved from or to axis 0; lists etc. stay."""
    if source == axis or kind_of(value) not in ("array", "objects"):
        return value
    return np.moveaxis(value, source, axis) if value.ndim > source + axis else value


def rows_first(result: Any, axis: int, rows: int, method: str) -> Any:
    """Return a batch's result with its rows on axis 0, after counting them.

    Raises:
        OutputError: If the result has no rows, or not as many as the batch.
    """
    placed = move_rows(result, axis, 0)
    count = row_count(placed)
    if count != rows:
        got = "no rows" if count is None else f"{count} rows"
        raise OutputError(
            f"method {method!r} returned {type(result).__name__} with {got} along "
            f"batch_dim {axis} for a batch of {rows}: a batchable method returns one "
            "row for each row that it gets; set batch_dim to the axis of the rows, or "
            "batchable=False (`headway check` tries a service's methods on batches)"
        )
    return placed


def take(value: Any, start: int, stop: int) -> Any:
    """Return rows `start` to `stop` of a container; a frame's index begins anew."""
    kind = kind_of(value)
    if kind == "tuple":
        return _like(value, [take(part, start, stop) for part in value])
    if kind == "dict":
        return {name: take(part, start, stop) for name, part in value.items()}
    if kind == "frame":
        # The old index would reveal the position in the batch.
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
    except BaseException as error:
        # Containers may raise anything, SystemExit included.
        names = sorted({type(value).__name__ for value in values})
        raise OutputError(
            f"rows of {len(values)} parts ({', '.join(names)}) cannot be joined: "
            f"{type(error).__name__}: {_text_of(error)}"
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
    # The package of an existing frame or sparse matrix is imported already.
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


def encode_array(rows: np.ndarray[Any, Any], axis: int) -> tuple[bytes, Buffer]:
    """Return (key, bytes) of the results of several calls, joined on axis 0."""
    key = ResultKey(ARRAYS, rows.dtype.str, rows.shape[1:], axis)
    return encode_record(key), raw_bytes(rows)


def encode_pickles(results: Sequence[Any], axis: int = 0) -> tuple[bytes, list[bytes]]:
    """Return (key, pickles), one for each call.

    Args:
        results: With their rows on axis 0.
        axis: Axis on which the callers want the rows of arrays.

    Raises:
        OutputError: If a result cannot be pickled.
    """
    try:
        pickles = [pickle.dumps(result, protocol=5) for result in results]
    except BaseException as error:
        # A value's own __reduce__ may raise anything, SystemExit included.
        raise OutputError(
            f"the model's result cannot be sent back: {_text_of(error)}; return "
            "arrays, lists, frames or other values that pickle"
        ) from error
    return encode_record(ResultKey(PICKLED, axis=axis)), pickles


def decode_results(
    key: Buffer,
    sizes: Sequence[int],
    payload: memoryview,
    *,
    keep_rows_first: bool = False,
) -> list[Any]:
    """Return each call's result.

    Args:
        key: As encoded.
        sizes: Rows of each call for arrays, otherwise bytes of each pickle.
        payload: All bytes after the sizes.
        keep_rows_first: Leave the rows on axis 0, to join parts of a call.

    Raises:
        WireError: If the key does not parse or the bytes do not add up.
        OutputError: If a pickle cannot be read here.
    """
    form = parse_record(key, ResultKey)
    axis = 0 if keep_rows_first else form.axis
    results: list[Any] = []
    at = 0
    if form.mode == PICKLED:
        for size in sizes:
            value = _unpickle(payload[at : at + size])
            results.append(move_rows(value, 0, axis) if axis else value)
            at += size
        return results
    try:
        flat = np.frombuffer(payload, raw_dtype(form.dtype))
        # A copy: callers may write to their result; it is aligned, and does not keep
        # the frame alive.
        rows = flat.reshape(sum(sizes), *form.shape).copy()
    except ValueError as error:
        raise WireError(f"a result's bytes do not add up: {error}") from error
    for size in sizes:
        part = rows[at : at + size]
        results.append(move_rows(part, 0, axis) if axis else part)
        at += size
    return results


def _unpickle(blob: memoryview) -> Any:
    try:
        return pickle.loads(blob)
    except BaseException as error:  # a class may raise anything while it is read
        raise OutputError(
            "the model's result cannot be read in the API worker: "
            f"{_text_of(error)}; return arrays, lists or values of classes that are "
            "installed there"
        ) from error


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as fault:  # noqa: BLE001 - a user's class may raise anything
        return f"{type(error).__name__}, whose text raised {type(fault).__name__}"
