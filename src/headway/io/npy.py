"""Arrays as bytes: the .npy format, and raw elements.

io/numpy calls it. numpy's own reader is not used on what clients send: it allocates
what the header claims before it looks at the length, and its header parser raises
tokenizer errors.
"""

import ast
import math
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

import numpy as np

from headway.errors import BadInputError

__all__ = ["npy_of_array", "read_npy", "read_raw"]

Array = np.ndarray[Any, np.dtype[Any]]
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_MAX_HEADER_BYTES = 10_000
_MAX_DIMENSIONS = 32
_KINDS = "biufU"
_MAX_CODE_POINT = 0x10FFFF
_HEADER_ERRORS = (
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    MemoryError,
    RecursionError,
    OverflowError,
)


def read_npy(body: bytes) -> Array:
    """Return the array of a .npy file; a writable copy in native byte order.

    Raises:
        BadInputError: If it is none, or one of objects or records.
    """
    header, start = _header_bytes(body)
    dtype, shape, order = _layout(header, body[6])
    wanted = math.prod(shape) * dtype.itemsize
    if len(body) - start != wanted:
        raise _bad_npy(
            f"its header announces {wanted} bytes of elements, {len(body) - start} came"
        )
    return _elements(body, start, dtype, shape).reshape(shape, order=order)


def read_raw(body: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the array of bare elements, little-endian and in C order.

    Args:
        body: The elements.
        dtype: Theirs.
        shape: With one -1 at most.

    Raises:
        BadInputError: If the bytes do not fill the shape.
    """
    row_bytes = math.prod(n for n in shape if n >= 0) * dtype.itemsize
    fits = len(body) == row_bytes
    unit = ""
    if -1 in shape:
        unit = "a multiple of "
        fits = row_bytes > 0 and len(body) % row_bytes == 0
        # numpy cannot tell -1 of an empty array
        shape = tuple(len(body) // max(row_bytes, 1) if n < 0 else n for n in shape)
    if not fits:
        raise BadInputError(
            f"{len(body)} bytes do not fill an array of {dtype} of the API's shape, "
            f"which takes {unit}{row_bytes} bytes"
        )
    return _elements(body, 0, dtype.newbyteorder("<"), shape).reshape(shape)


def npy_of_array(array: Array) -> bytes:
    """Return the array as a .npy file.

    Raises:
        ValueError: If it holds objects.
    """
    if array.dtype.hasobject:
        raise ValueError("Python objects")
    return _npy_header(array.dtype, array.shape) + array.tobytes()


def _bad_npy(reason: str) -> BadInputError:
    return BadInputError(f"the body is not a usable .npy file: {reason}")


def _header_bytes(body: bytes) -> tuple[bytes, int]:
    length_bytes = _LENGTH_BYTES.get(body[6]) if len(body) > 7 else None
    if not body.startswith(_MAGIC) or length_bytes is None:
        raise _bad_npy("it does not begin as one")
    start = 8 + length_bytes
    length = int.from_bytes(body[8:start], "little")
    if length > _MAX_HEADER_BYTES or len(body) < start + length:
        raise _bad_npy("its header is cut off or too long")
    return body[start : start + length], start + length


# Clients send the same header over and over, and parsing it costs 18 us.
@lru_cache(maxsize=256)
def _layout(
    header: bytes, version: int
) -> tuple[np.dtype[Any], tuple[int, ...], Literal["C", "F"]]:
    try:
        text = header.decode("utf-8" if version > 2 else "latin-1")
        fields = ast.literal_eval(text.strip())
        descr, shape = fields["descr"], fields["shape"]
        order: Literal["C", "F"] = "F" if fields["fortran_order"] else "C"
        dtype = np.dtype(descr)
    except _HEADER_ERRORS as error:
        raise _bad_npy("its header does not describe an array") from error
    if not isinstance(descr, str) or dtype.kind not in _KINDS:
        raise _bad_npy(
            f"it holds {str(descr)[:50]!r}; send bool, integer, float or str elements"
        )
    if not isinstance(shape, tuple) or not all(
        type(length) is int and length >= 0 for length in shape
    ):
        raise _bad_npy("its shape is not a tuple of lengths")
    if len(shape) > _MAX_DIMENSIONS:
        raise _bad_npy(f"it has more than {_MAX_DIMENSIONS} dimensions")
    return dtype, shape, order


@lru_cache(maxsize=256)
def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def _elements(
    body: bytes, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    if math.prod(shape) == 0 or dtype.itemsize == 0:
        return np.zeros(math.prod(shape), dtype=dtype.newbyteorder("="))
    flat = np.frombuffer(body, dtype=dtype, offset=start)
    if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise BadInputError("a bool element is neither 0 nor 1")
    # A copy: frombuffer's array is read-only, which the user's code need not expect.
    flat = flat.astype(dtype.newbyteorder("="), copy=True)
    if dtype.kind == "U":
        codes = flat.view(np.uint32)
        if (codes > _MAX_CODE_POINT).any():
            raise BadInputError("a str element holds no Unicode")
    return flat
