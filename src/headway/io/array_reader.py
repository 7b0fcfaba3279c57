"""Nested JSON lists to arrays.

io/numpy makes one reader per descriptor and calls it for every JSON body.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np

from headway.errors import BadInputError
from headway.io.json_body import JSON_ERRORS, bad_json

__all__ = ["ArrayReader"]

Array = np.ndarray[Any, np.dtype[Any]]
_Decoders = tuple[Callable[[bytes], Any], ...]
_MAX_DIMENSIONS = 8
_OBJECTS = np.dtype(np.object_)
_OPENING = re.compile(rb"[\s\[]*")
_MAX_STRINGS_BYTES = 256 * 1024 * 1024
_MAX_EXPLAINED = 100_000


class ArrayReader:
    """Reads arrays of numbers, or of strings, from JSON.

    The decoders are typed, by number of dimensions, because np.array accepts what it
    should not: it parses "1.5" as a number, makes 1e300 an infinite float32, and turns
    the numbers beside one long string into strings as long.

    Args:
        dtype: What the array shall have if the values allow it; None for what numpy
            makes of the numbers.
    """

    __slots__ = ("_decode_any", "_dtype", "_exact", "_fast", "_strings")

    def __init__(self, dtype: np.dtype[Any] | None) -> None:
        self._dtype = dtype
        self._strings = dtype is not None and dtype.kind == "U"
        self._decode_any: Callable[[bytes], Any] = msgspec.json.Decoder().decode
        self._exact = _decoders(str if self._strings else int | float | bool | None)
        self._fast: _Decoders = ()
        if not self._strings:
            self._fast = self._exact if dtype is None else _decoders(_element(dtype))

    def read(self, body: bytes) -> Array:
        """Return the array; null among numbers is NaN.

        The array has the dtype if the values fit it exactly as they stand; if not, it
        has the dtype that numpy gives them.

        Raises:
            BadInputError: If the body is malformed, ragged or holds anything else; the
                message says where.
        """
        # The first brackets tell the dimensions; where white space or depth misleads,
        # the decoder refuses and the slow way counts again.
        try:
            array: Array = np.array(
                self._fast[body.count(b"[", 0, 4)](body), self._dtype
            )
        except (ValueError, OverflowError, RecursionError, IndexError):
            return self._read_slowly(body)
        return array if array.dtype is not _OBJECTS else self._read_slowly(body)

    def _read_typed(self, body: bytes, dimensions: int) -> Array | None:
        if not self._fast:
            return None
        try:
            values = self._fast[dimensions](body)
            array = np.array(values, dtype=self._dtype)
        except (ValueError, OverflowError, RecursionError):
            return None
        return array if array.dtype.kind != "O" else None

    def _read_slowly(self, body: bytes) -> Array:
        opening = _OPENING.match(body)
        brackets = opening.group().count(b"[") if opening else 0
        dimensions = min(brackets, _MAX_DIMENSIONS)
        array = self._read_typed(body, dimensions)
        if array is not None:
            return array
        try:
            values = self._exact[dimensions](body)
            return _array_of_strings(values) if self._strings else _array(values)
        except (ValueError, OverflowError, TypeError, RecursionError) as error:
            raise self._fault(body) from error

    def _fault(self, body: bytes) -> BadInputError:
        try:
            values = self._decode_any(body)
        except JSON_ERRORS as error:
            return bad_json(error, body)
        return BadInputError(_explain(values, strings=self._strings))


def _element(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return bool
    if dtype.kind == "f":
        if dtype.itemsize >= 8:
            return float
        limit = float(np.finfo(dtype).max)
        return Annotated[float, msgspec.Meta(ge=-limit, le=limit)]
    bounds = np.iinfo(dtype)
    # msgspec knows bounds of 64 bits with a sign; np.array refuses what is beyond.
    most = int(bounds.max) if int(bounds.max) < 2**63 else None
    return Annotated[int, msgspec.Meta(ge=int(bounds.min), le=most)]


def _decoders(element: Any) -> _Decoders:
    decoders = []
    for _ in range(_MAX_DIMENSIONS + 1):
        decoders.append(msgspec.json.Decoder(element).decode)
        element = list[element]
    return tuple(decoders)


def _array(values: Any) -> Array:
    array: Array = np.array(values)
    # null, or integers beyond 64 bits
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def _array_of_strings(values: Any) -> Array:
    objects: np.ndarray[Any, Any] = np.array(values, dtype=np.object_)
    if any(isinstance(value, list) for value in objects.flat):
        raise ValueError("ragged")
    longest = max((len(str(value)) for value in objects.flat), default=0)
    # numpy gives every string the room of the longest one.
    if objects.size * longest * 4 > _MAX_STRINGS_BYTES:
        raise BadInputError(
            f"{objects.size} strings of up to {longest} characters are too many for "
            "one array; send fewer at a time"
        )
    return objects.astype(np.str_)


def _explain(values: Any, *, strings: bool) -> str:
    """Return where nested lists are no array of numbers, or of strings."""
    name, wanted = ("strings", str) if strings else ("numbers", int | float | None)
    lengths: dict[int, int] = {}
    waiting: list[tuple[str, int, Any]] = [("$", 0, values)]
    # A bound, for this runs on the event loop and the client chose the size.
    for _ in range(_MAX_EXPLAINED):
        if not waiting:
            return f"the array has more than {_MAX_DIMENSIONS} dimensions"
        path, depth, value = waiting.pop()
        is_list = isinstance(value, list)
        if not is_list and not isinstance(value, wanted):
            return f"expected an array of {name}, got {_kind(value)} at {path}"
        length = len(value) if is_list else -1
        if lengths.setdefault(depth, length) != length:
            return (
                f"the array is ragged: {_count(length)} at {path}, before it "
                f"{_count(lengths[depth])} at that depth"
            )
        if is_list:
            waiting.extend(
                (f"{path}[{index}]", depth + 1, value[index])
                for index in reversed(range(min(length, _MAX_EXPLAINED)))
            )
    return f"expected an array of {name}, rectangular and without anything else"


def _count(length: int) -> str:
    return "a scalar" if length < 0 else f"a list of {length}"


def _kind(value: Any) -> str:
    names = {str: "a string", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
