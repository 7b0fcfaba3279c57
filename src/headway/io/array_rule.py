"""The dtype and shape that an array must have, and how it is made to fit.

io/numpy calls it for inputs and outputs; it calls numpy only.
"""

from typing import Any

import numpy as np

from headway.errors import ConfigError, HeadwayError

__all__ = ["ArrayRule"]

Array = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = "biuf"


class ArrayRule:
    """The dtype and shape that an array is converted to.

    A dtype is converted to where the values survive (floats may be rounded to a
    narrower float, nothing else changes); a shape by adding axes. An array that cannot
    be converted is refused if the rule is enforced and passes as it is otherwise.

    Args:
        dtype: bool, an integer, float or str dtype; None for any of numbers.
        enforce_dtype: Refuse what cannot be converted to the dtype.
        shape: Length of each axis, -1 for any; None for any shape.
        enforce_shape: Refuse what has another shape.

    Raises:
        ConfigError: If the dtype or shape is malformed.
    """

    __slots__ = ("_fixed", "dtype", "enforce_dtype", "enforce_shape", "shape")

    def __init__(
        self,
        *,
        dtype: Any,
        enforce_dtype: bool,
        shape: Any,
        enforce_shape: bool,
    ) -> None:
        self.dtype = None if dtype is None else _dtype(dtype)
        self.shape = None if shape is None else _shape(shape)
        self._fixed = [
            (axis, length)
            for axis, length in enumerate(self.shape or ())
            if length >= 0
        ]
        self.enforce_dtype = enforce_dtype
        self.enforce_shape = enforce_shape
        if enforce_dtype and dtype is None:
            raise ConfigError("NumpyNdarray(enforce_dtype=True) needs a dtype")
        if enforce_shape and shape is None:
            raise ConfigError("NumpyNdarray(enforce_shape=True) needs a shape")

    def fits(self, array: Array) -> bool:
        """Return whether `conform` would return the array as it is."""
        if self.dtype is not None and array.dtype != self.dtype:
            return False
        if self.shape is None:
            return True
        shape = array.shape
        if len(shape) != len(self.shape):
            return False
        for axis, length in self._fixed:  # noqa: SIM110 - all() costs 0.4 us more
            if shape[axis] != length:
                return False
        return True

    def conform(self, array: Array, error: type[HeadwayError]) -> Array:
        """Return the array as the rule wants it.

        Args:
            array: Any array.
            error: What to raise if the rule refuses it.
        """
        return self.conform_shape(self.conform_dtype(array, error), error)

    def conform_dtype(self, array: Array, error: type[HeadwayError]) -> Array:
        """Return the array in the rule's dtype; see `conform`."""
        if self.dtype is None or array.dtype == self.dtype:
            return array
        converted = _converted(array, self.dtype)
        if converted is not None:
            return converted
        if self.enforce_dtype:
            raise error(
                f"expected an array of {_dtype_name(self.dtype)}, got "
                f"{_dtype_name(array.dtype)} values that it cannot hold"
            )
        return array

    def conform_shape(self, array: Array, error: type[HeadwayError]) -> Array:
        """Return the array in the rule's shape; see `conform`."""
        if self.shape is None or self._has_shape(array):
            return array
        if self.enforce_shape:
            raise error(
                f"expected an array of shape {_shape_name(self.shape)}, got "
                f"{_shape_name(array.shape)}"
            )
        # A lone row for (-1, columns) is meant as one row. Other shapes are left alone:
        # reshaping (2, 2) to (1, 4) would make up a row that nobody sent.
        if array.ndim < len(self.shape) and self.shape.count(-1) <= 1:
            try:
                return array.reshape(self.shape)
            except ValueError:
                return array
        return array

    def _has_shape(self, array: Array) -> bool:
        shape = array.shape
        return len(shape) == len(self.shape or ()) and all(
            shape[axis] == length for axis, length in self._fixed
        )


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
            # What a cast does beyond the bounds depends on the machine.
            bounds = np.iinfo(dtype)
            kept &= (array >= float(bounds.min)) & (array < float(bounds.max) + 1)
        return converted if kept.all() else None


def _dtype(dtype: Any) -> np.dtype[Any]:
    try:
        parsed = np.dtype(dtype)
    except TypeError as error:
        raise ConfigError(
            f"NumpyNdarray: dtype {dtype!r} is none of numpy's"
        ) from error
    if parsed.kind == "U":
        return np.dtype(np.str_)
    if parsed.kind not in _NUMBERS or parsed.itemsize > 8:
        raise ConfigError(
            f"NumpyNdarray: dtype {str(parsed)!r} has no form in JSON; use bool, an "
            "integer, a float of at most 64 bits, or str"
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
