"""A result on the wire: cut by rows for its callers, joined again where it was split.

runner/batch cuts and encodes, api/runner_client decodes.
"""

import pickle
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from headway.errors import OutputError, WireError
from headway.ipc.call import Buffer, raw_bytes
from headway.ipc.result_key import (
    ARRAY,
    BLOBS,
    ResultKey,
    decode_result_key,
    encode_result_key,
)
from headway.ipc.rows import join, kind_of, raw_dtype, row_count, take

__all__ = [
    "axis_of",
    "decode_results",
    "encode_array",
    "encode_blobs",
    "join",
    "on_axis_0",
    "rows_first",
    "take",
]


def rows_first(result: Any, axis: int, rows: int, method: str) -> Any:
    """Return a batch's result with its rows on axis 0, after counting them.

    Raises:
        OutputError: If the result has no rows, or not as many as the batch.
    """
    placed = on_axis_0(result, axis)
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


def on_axis_0(result: Any, axis: int) -> Any:
    """Return a result with its rows on axis 0; only arrays have another."""
    if axis and kind_of(result) in ("array", "objects") and result.ndim > axis:
        return np.moveaxis(result, axis, 0)
    return result


def encode_array(rows: np.ndarray[Any, Any], axis: int) -> tuple[bytes, Buffer]:
    """Return (key, bytes) of rows that lie one call's after the other's."""
    return _array_key(rows.dtype.str, rows.shape[1:], axis), raw_bytes(rows)


def encode_blobs(results: Sequence[Any], axis: int = 0) -> tuple[bytes, list[bytes]]:
    """Return (key, pickles), one for each call.

    Args:
        results: With their rows on axis 0.
        axis: Where the callers want the rows of arrays.

    Raises:
        OutputError: If a result cannot be pickled.
    """
    try:
        blobs = [pickle.dumps(result, protocol=5) for result in results]
    except Exception as error:
        # A value's own __reduce__ may raise anything.
        raise OutputError(
            f"the model's result cannot be sent back: {error}; return arrays, lists, "
            "frames or other values that pickle"
        ) from error
    return encode_result_key(ResultKey(BLOBS, axis=axis)), blobs


def _array_key(dtype: str, shape: tuple[int, ...], axis: int) -> bytes:
    return encode_result_key(ResultKey(ARRAY, dtype, shape, axis))


def decode_results(
    key: Buffer,
    sizes: Sequence[int],
    payload: memoryview,
    *,
    keep_rows_first: bool = False,
) -> list[Any]:
    """Return each call's result.

    Args:
        key: As the encoder made it.
        sizes: Rows of each call (ARRAY) or bytes of each pickle (BLOBS).
        payload: All bytes after the sizes.
        keep_rows_first: Leave the rows on axis 0, to join parts of a call.

    Raises:
        WireError: If the key does not parse or the bytes do not add up.
        OutputError: If a pickle cannot be read here.
    """
    form = _form_of(key)
    axis = 0 if keep_rows_first else form.axis
    results: list[Any] = []
    at = 0
    if form.mode == BLOBS:
        for size in sizes:
            value = _unpickle(payload[at : at + size])
            results.append(_placed(value, axis) if axis else value)
            at += size
        return results
    try:
        flat = np.frombuffer(payload, raw_dtype(form.dtype))
        # A copy: what the callers get is theirs to write to, aligned, and does not
        # keep the frame alive.
        rows = flat.reshape(sum(sizes), *form.shape).copy()
    except ValueError as error:
        raise WireError(f"a result's bytes do not add up: {error}") from error
    for size in sizes:
        piece = rows[at : at + size]
        results.append(_placed(piece, axis) if axis else piece)
        at += size
    return results


def axis_of(key: Buffer) -> int:
    """Return where the callers want the rows.

    Raises:
        WireError: If the key does not parse.
    """
    return _form_of(key).axis


def _form_of(key: Buffer) -> ResultKey:
    try:
        return decode_result_key(key)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a result's key does not parse: {error}") from error


def _placed(value: Any, axis: int) -> Any:
    """Return a result with its rows where `rows_first` found them."""
    if kind_of(value) in ("array", "objects") and value.ndim > axis:
        return np.moveaxis(value, 0, axis)
    return value


def _unpickle(blob: memoryview) -> Any:
    try:
        return pickle.loads(blob)
    except Exception as error:  # a class may raise anything while it is read
        raise OutputError(
            f"the model's result cannot be read in the API worker: {error}; return "
            "arrays, lists or values of classes that are installed there"
        ) from error
