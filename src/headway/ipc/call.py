"""Encodes calls: which arguments are rows, and which calls may share a batch.

api/runner_client encodes calls; runner/warmup and tools/check use the rules about
arguments. Two calls may share a batch if and only if their keys are the same bytes:
method, kinds, dtypes, trailing shapes and constants.
"""

import pickle
from typing import Any

import msgspec
import numpy as np

from headway.core.method_spec import MethodSpec
from headway.errors import UsageError
from headway.ipc.frames import Buffer
from headway.ipc.records import (
    ARRAYS,
    OPAQUE,
    PICKLED,
    ArgumentSpec,
    CallKey,
    encode_record,
)
from headway.ipc.rows import COPY_BELOW_BYTES, kind_of, raw_bytes, row_count

_KEYS_KEPT = 4096


class EncodedCall(msgspec.Struct, gc=False):
    """One call, ready for a frame."""

    key: bytes
    rows: int
    parts: tuple[Buffer, ...]
    """One buffer for each row argument (ARRAYS), else one pickle."""
    nbytes: int
    pickled: bool = False


class CallEncoder:
    """Encodes calls; caches the keys of array shapes."""

    __slots__ = ("_keys", "_last")

    def __init__(self) -> None:
        self._keys: dict[tuple[str, np.dtype[Any], tuple[int, ...]], bytes] = {}
        # Most calls repeat method, dtype and trailing shape of the last one; comparing
        # them costs half of a look into the dict (benchmarks/micro/bench_codec.py).
        self._last: tuple[Any, Any, Any, bytes] = (None, None, None, b"")

    def encode(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> EncodedCall:
        """Return the call's key, rows and bytes.

        Positional arguments and array keyword arguments that hold rows are batched;
        every other argument is a constant that all calls of a batch must share.

        Raises:
            UsageError: If the arguments of a batchable method differ in rows, or
                cannot be pickled.
        """
        if len(args) == 1 and not kwargs:
            array = args[0]
            if type(array) is np.ndarray and (shape := array.shape) and shape[0]:
                last, dtype, trailing, key = self._last
                if not (
                    method is last and array.dtype is dtype and shape[1:] == trailing
                ):
                    key = self._known_key(method, array)
                if key:
                    nbytes = array.nbytes
                    small = nbytes < COPY_BELOW_BYTES
                    part = array.tobytes() if small else raw_bytes(array)
                    return EncodedCall(key, shape[0], (part,), nbytes)
        return self._encode_any(method, args, kwargs)

    def _known_key(self, method: MethodSpec, array: np.ndarray[Any, Any]) -> bytes:
        """Return the cached key of a call with this array alone; empty if it is new."""
        if not method.batchable or method.batch_dim[0] != 0:
            return b""
        shape = array.shape[1:]
        key = self._keys.get((method.name, array.dtype, shape), b"")
        if key:
            self._last = method, array.dtype, shape, key
        return key

    def _encode_any(
        self, method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> EncodedCall:
        places: dict[int | str, Any] = dict(enumerate(args))
        places.update(kwargs)
        columns = row_arguments(method, args, kwargs) if method.batchable else {}
        rows = agreed_rows(method, columns)
        if not rows:
            blob = _pickle((args, kwargs), method)
            key = encode_record(CallKey(method.name, OPAQUE))
            return EncodedCall(key, 1, (blob,), len(blob), True)
        constants = {
            place: value for place, value in places.items() if place not in columns
        }
        mode = (
            ARRAYS
            if all(kind_of(column) == "array" for column in columns.values())
            else PICKLED
        )
        key = encode_record(
            CallKey(
                method.name,
                mode,
                tuple(_specify(place, column) for place, column in columns.items()),
                _pickle(constants, method) if constants else b"",
            )
        )
        if mode == PICKLED:
            blob = _pickle(tuple(columns.values()), method)
            return EncodedCall(key, rows, (blob,), len(blob), True)
        if len(args) == 1 and not kwargs and method.batch_dim[0] == 0:
            self._remember(method, columns[0], key)
        parts = tuple(raw_bytes(column) for column in columns.values())
        nbytes = sum(column.nbytes for column in columns.values())
        return EncodedCall(key, rows, parts, nbytes)

    def _remember(
        self, method: MethodSpec, array: np.ndarray[Any, Any], key: bytes
    ) -> None:
        if len(self._keys) >= _KEYS_KEPT:
            self._keys.clear()
        self._keys[method.name, array.dtype, array.shape[1:]] = key


def row_arguments(
    method: MethodSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[int | str, Any]:
    """Return the arguments that hold rows, with their rows on axis 0.

    Raises:
        UsageError: If one does not have the axis that `batch_dim` names.
    """
    columns: dict[int | str, Any] = {}
    for place, value in enumerate(args):
        kind = kind_of(value)
        if kind not in (None, "tuple", "dict"):
            columns[place] = _rows_first(value, kind, method)
    for name, value in kwargs.items():
        if isinstance(value, np.ndarray) and value.ndim:
            columns[name] = _rows_first(value, kind_of(value), method)
    return columns


def _rows_first(value: Any, kind: str | None, method: MethodSpec) -> Any:
    if kind == "array" and not value.dtype.isnative:
        # Joining would do the same, and some libraries reject other byte orders.
        value = value.astype(value.dtype.newbyteorder("="))
    axis = method.batch_dim[0]
    if axis == 0:
        return value
    if kind not in ("array", "objects") or value.ndim <= axis:
        raise UsageError(
            f"method {method.name!r} has its rows on axis {axis}, but was given "
            f"{type(value).__name__} {getattr(value, 'shape', '')}: set batch_dim to "
            "the axis of the rows"
        )
    return np.moveaxis(value, axis, 0)


def agreed_rows(method: MethodSpec, columns: dict[int | str, Any]) -> int:
    """Return the common number of rows of the arguments; 0 if none has any.

    Raises:
        UsageError: If they differ.
    """
    counts = {place: row_count(column) for place, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(
            f"the arguments of the batchable method {method.name!r} differ in rows: "
            f"{counts}; each must have one row for each result"
        )
    return next(iter(counts.values()), 0) or 0


def _specify(place: int | str, column: Any) -> ArgumentSpec:
    kind = kind_of(column) or ""
    if kind == "array":
        return ArgumentSpec(place, kind, column.dtype.str, column.shape[1:])
    if kind == "objects":
        return ArgumentSpec(place, kind, str(column.dtype), column.shape[1:])
    if kind == "sparse":
        form = f"{type(column).__name__} {column.dtype.str}"
        return ArgumentSpec(place, kind, form, column.shape[1:])
    if kind == "frame":
        columns = getattr(column, "columns", None)
        if columns is None:
            form = f"series {_named_dtype(column.name, column.dtype)}"
            return ArgumentSpec(place, kind, form)
        types = map(_named_dtype, columns, column.dtypes)
        return ArgumentSpec(place, kind, "; ".join(types))
    return ArgumentSpec(place, kind)


def _named_dtype(name: object, dtype: Any) -> str:
    """Return the properties that two frames' columns must share to be joined."""
    categories = getattr(dtype, "categories", None)
    if categories is None:
        return f"{name!r}: {dtype}"
    return f"{name!r}: {dtype} {dtype.ordered} {list(categories)!r}"


def _pickle(value: object, method: MethodSpec) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except BaseException as error:
        # A value's own __reduce__ may raise anything, SystemExit included.
        raise UsageError(
            f"an argument of {method.name!r} cannot be sent to its runner: {error}; "
            "pass arrays, lists, frames or other values that pickle"
        ) from error
