"""Arrays of requests and results: reading them from JSON, their dtype and shape.

io/numpy makes one ArrayType per descriptor and calls it for every body.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np

from headway.errors import BadInputError, ConfigError, HeadwayError
from headway.io.json_body import JSON_ERRORS, bad_json

Array = np.ndarray[Any, np.dtype[Any]]
_Decoders = tuple[Callable[[bytes], Any], ...]
_MAX_DIMENSIONS = 8
_OBJECTS = np.dtype(np.object_)
_OPENING = re.compile(rb"[\s\[]*")
_MAX_STRINGS_BYTES = 256 * 1024 * 1024
_MAX_EXPLAINED = 100_000
_NUMBERS = "biuf"
_decode_any: Callable[[bytes], Any] = msgspec.json.Decoder().decode


class ArrayType:
    """The dtype and shape of an API's arrays: reads JSON, and converts other arrays.

    There is one typed decoder per number of dimensions, because np.array alone is too
    lenient: it parses "1.5" as a number, turns 1e300 into an infinite float32, and
    converts numbers next to a long string into strings of that length.

    Args:
        dtype: A bool, integer, float or str dtype; None for any numeric dtype.
        enforce_dtype: Refuse arrays that cannot be converted to the dtype.
        shape: Length of each axis, -1 for any; None for any shape.
        enforce_shape: Refuse arrays of another shape.

    Raises:
        ConfigError: If the dtype or shape is malformed.
    """

    __slots__ = (
        "_enforce_dtype",
        "_enforce_shape",
        "_exact",
        "_fast",
        "_fixed",
        "dtype",
        "shape",
        "strings",
    )

    def __init__(
        self, dtype: Any, enforce_dtype: bool, shape: Any, enforce_shape: bool
    ) -> None:
        self.dtype = None if dtype is None else _dtype(dtype)
        self.shape = None if shape is None else _shape(shape)
        if enforce_dtype and dtype is None:
            raise ConfigError("NumpyNdarray(enforce_dtype=True) needs a dtype")
        if enforce_shape and shape is None:
            raise ConfigError("NumpyNdarray(enforce_shape=True) needs a shape")
        self._enforce_dtype = enforce_dtype
        self._enforce_shape = enforce_shape
        self._fixed = [
            (axis, length)
            for axis, length in enumerate(self.shape or ())
            if length >= 0
        ]
        self.strings = self.dtype is not None and self.dtype.kind == "U"
        self._exact = _decoders(str if self.strings else int | float | bool | None)
        self._fast: _Decoders = ()
        if self.dtype is None:
            self._fast = self._exact
        elif not self.strings:
            self._fast = _decoders(_element(self.dtype))

    def read(self, body: bytes) -> Array:
        """Return the array; null among numbers is NaN.

        If a value does not fit the dtype exactly, numpy chooses the dtype instead.

        Raises:
            BadInputError: If the body is malformed, ragged or contains anything else;
                the message says where.
        """
        # Count the dimensions in the first four bytes. Where white space or depth makes
        # that wrong, the decoder fails and the slow path counts again.
        try:
            array: Array = np.array(
                self._fast[body.count(b"[", 0, 4)](body), self.dtype
            )
        except (ValueError, OverflowError, RecursionError, IndexError):
            return self._read_slowly(body)
        return array if array.dtype is not _OBJECTS else self._read_slowly(body)

    def _read_slowly(self, body: bytes) -> Array:
        opening = _OPENING.match(body)
        brackets = opening.group().count(b"[") if opening else 0
        dimensions = min(brackets, _MAX_DIMENSIONS)
        if self._fast:
            with contextlib.suppress(ValueError, OverflowError, RecursionError):
                typed = np.array(self._fast[dimensions](body), dtype=self.dtype)
                if typed.dtype.kind != "O":
                    return typed
        try:
            values = self._exact[dimensions](body)
            return _array_of_strings(values) if self.strings else _array(values)
        except (ValueError, OverflowError, TypeError, RecursionError) as error:
            raise self._bad_input(body) from error

    def _bad_input(self, body: bytes) -> BadInputError:
        try:
            values = _decode_any(body)
        except JSON_ERRORS as error:
            return bad_json(error, body)
        return BadInputError(_explain(values, strings=self.strings))

    def conform(self, array: Array, error: type[HeadwayError]) -> Array:
        """Return the array with this dtype and shape.

        The dtype is converted if that keeps every value (floats may be rounded to a
        narrower float); the shape is reached by adding axes. An array that cannot be
        converted is refused if the dtype or shape is enforced; otherwise it passes
        unchanged.

        Args:
            array: Any array.
            error: Raised if the array is refused.
        """
        if self.dtype is not None and array.dtype != self.dtype:
            converted = _converted(array, self.dtype)
            if converted is not None:
                array = converted
            elif self._enforce_dtype:
                raise error(
                    f"expected an array of {_dtype_name(self.dtype)}, got "
                    f"{_dtype_name(array.dtype)} values that it cannot hold"
                )
        if self.shape is None or self._has_shape(array):
            return array
        if self._enforce_shape:
            raise error(
                f"expected an array of shape {_shape_name(self.shape)}, got "
                f"{_shape_name(array.shape)}"
            )
        # A single row for (-1, columns) means one row. Other shapes are left alone:
        # reshaping (2, 2) to (1, 4) would invent a row that nobody sent.
        if array.ndim < len(self.shape) and self.shape.count(-1) <= 1:
            with contextlib.suppress(ValueError):
                return array.reshape(self.shape)
        return array

    def _has_shape(self, array: Array) -> bool:
        shape = array.shape
        if len(shape) != len(self.shape or ()):
            return False
        for axis, length in self._fixed:  # noqa: SIM110 - all() costs 0.4 us more
            if shape[axis] != length:
                return False
        return True


def _element(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return bool
    if dtype.kind == "f":
        if dtype.itemsize >= 8:
            return float
        limit = float(np.finfo(dtype).max)
        return Annotated[float, msgspec.Meta(ge=-limit, le=limit)]
    bounds = np.iinfo(dtype)
    # msgspec takes signed 64-bit bounds only; np.array refuses larger values itself.
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
    # numpy allocates the length of the longest string for every element.
    if objects.size * longest * 4 > _MAX_STRINGS_BYTES:
        raise BadInputError(
            f"an array of {objects.size} strings of up to {longest} characters is too "
            "large; send fewer at a time"
        )
    return objects.astype(np.str_)


def _explain(values: Any, *, strings: bool) -> str:
    """Say where nested lists are not an array of numbers, or of strings."""
    name, wanted = ("strings", str) if strings else ("numbers", int | float | None)
    lengths: dict[int, int] = {}
    waiting: list[tuple[str, int, Any]] = [("$", 0, values)]
    # Bounded, because this runs on the event loop and the client chose the size.
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
                f"the array is ragged: {_count(length)} at {path}, but "
                f"{_count(lengths[depth])} earlier at the same depth"
            )
        if is_list:
            waiting.extend(
                (f"{path}[{index}]", depth + 1, value[index])
                for index in reversed(range(min(length, _MAX_EXPLAINED)))
            )
    return f"expected a rectangular array that contains only {name}"


def _count(length: int) -> str:
    return "a scalar" if length < 0 else f"a list of {length}"


def _kind(value: Any) -> str:
    names = {str: "a string", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


def _converted(array: Array, dtype: np.dtype[Any]) -> Array | None:
    if array.dtype.kind == "U" and dtype.kind == "U":
        return array
    if array.dtype.kind not in _NUMBERS or dtype.kind not in _NUMBERS:
        return None
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
        if dtype.kind == "f":
            overflown = np.isinf(converted) & np.isfinite(array)
            return None if overflown.any() else converted
        kept = converted == array
        if array.dtype.kind == "f" and dtype.kind in "iu":
            # The result of a cast beyond the bounds depends on the machine.
            bounds = np.iinfo(dtype)
            kept &= (array >= float(bounds.min)) & (array < float(bounds.max) + 1)
        return converted if kept.all() else None


def _dtype(dtype: Any) -> np.dtype[Any]:
    try:
        parsed = np.dtype(dtype)
    except TypeError as error:
        raise ConfigError(
            f"NumpyNdarray: dtype {dtype!r} is not a numpy dtype"
        ) from error
    if parsed.kind == "U":
        return np.dtype(np.str_)
    if parsed.kind not in _NUMBERS or parsed.itemsize > 8:
        raise ConfigError(
            f"NumpyNdarray: dtype {str(parsed)!r} is not supported; use bool, an "
            "integer or float dtype of at most 64 bits, or str"
        )
    native: np.dtype[Any] = parsed.newbyteorder("=")
    return native


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list) or not all(
        isinstance(length, int) and not isinstance(length, bool) and length >= -1
        for length in shape
    ):
        raise ConfigError(
            f"NumpyNdarray: shape {shape!r} is not a tuple of lengths (-1 for any)"
        )
    return tuple(shape)


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return "str" if dtype.kind == "U" else str(dtype)


def _shape_name(shape: tuple[int, ...]) -> str:
    lengths = ", ".join("any" if length < 0 else str(length) for length in shape)
    return f"({lengths},)" if len(shape) == 1 else f"({lengths})"
