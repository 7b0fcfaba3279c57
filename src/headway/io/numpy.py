"""Arrays as bodies: nested JSON lists, .npy files, raw elements.

Users create one descriptor per API, or service/api derives it from type hints.
io/arrays reads JSON and applies dtype and shape.
"""

import ast
import math
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal, Self

import msgspec
import numpy as np

from headway.errors import BadInputError, OutputError, UnsupportedMediaTypeError
from headway.io.arrays import Array, ArrayType
from headway.io.base import (
    IODescriptor,
    negotiate,
    parse_media_type,
    require_utf8_text,
)
from headway.io.json_body import PLAIN_DTYPES, encode_json, encode_plain
from headway.io.schema import schema_of_array

_JSON = "application/json"
_NPY = "application/x-npy"
_RAW = "application/octet-stream"
_OFFERED = (_JSON, _NPY)
_BINARY = {"type": "string", "format": "binary"}
_MAX_EXAMPLE_ELEMENTS = 64
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_MAX_HEADER_BYTES = 10_000
_MAX_NPY_DIMENSIONS = 32
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


class NumpyNdarray(IODescriptor):
    """A numpy array.

    As input it accepts nested JSON lists (null among numbers is NaN), a .npy file
    (`application/x-npy`) and, if dtype and shape are given, raw elements,
    little-endian and in C order (`application/octet-stream`). As output it sends JSON,
    or .npy if the Accept header prefers that; in JSON, NaN and infinities become null.

    Arrays are converted to the given dtype and shape if that keeps every value.
    Otherwise they pass unchanged, or are refused with 400 if dtype or shape is
    enforced. Without a dtype, any array of numbers or bools is accepted.

    Args:
        dtype: A bool, integer, float or str dtype, in any form that numpy accepts.
        enforce_dtype: Refuse values that the dtype cannot hold.
        shape: Length of each axis, -1 for any.
        enforce_shape: Refuse other shapes.

    Raises:
        ConfigError: If the dtype or shape is malformed, or enforced and not given.
    """

    def __init__(
        self,
        dtype: Any = None,
        enforce_dtype: bool = False,
        shape: tuple[int, ...] | None = None,
        enforce_shape: bool = False,
    ) -> None:
        self._type = ArrayType(dtype, enforce_dtype, shape, enforce_shape)
        self._sample: Any = None

    @classmethod
    def from_sample(
        cls, sample: Any, enforce_dtype: bool = False, enforce_shape: bool = False
    ) -> Self:
        """Return a descriptor with the dtype and shape of a sample.

        The first axis holds the rows and may have any length.

        Args:
            sample: An array or nested lists; the example in the documentation.
            enforce_dtype: See the class.
            enforce_shape: See the class.
        """
        array = np.asarray(sample)
        descriptor = cls(
            dtype=array.dtype,
            enforce_dtype=enforce_dtype,
            shape=(-1, *array.shape[1:]) if array.ndim else (),
            enforce_shape=enforce_shape,
        )
        descriptor._sample = msgspec.json.decode(encode_json(array))
        return descriptor

    def decode(self, body: bytes, content_type: str | None) -> Array:  # noqa: D102
        if content_type is None or content_type == _JSON:
            array = self._type.read(body)
        else:
            array = self._decode_other(body, content_type)
        return self._type.conform(array, BadInputError)

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise OutputError(
                f"the API function's result ({type(value).__name__}) cannot be "
                f"converted to an array: {error}"
            ) from error
        array = self._type.conform(array, OutputError)
        if (
            accept is not None
            and "npy" in accept
            and negotiate(accept, _OFFERED) == _NPY
        ):
            return _NPY, _npy_of_array(array)
        if array.dtype.char in PLAIN_DTYPES:
            return _JSON, encode_plain(array.tolist())
        return _JSON, encode_json(array)

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        json_content = {"schema": schema_of_array(self._type.dtype, self._type.shape)}
        example = self._example()
        if example is not None:
            json_content["example"] = example
        content = {_JSON: json_content, _NPY: {"schema": _BINARY}}
        if self._accepts_raw():
            content[_RAW] = {"schema": _BINARY}
        return content

    def _decode_other(self, body: bytes, content_type: str) -> Array:
        name, _ = parse_media_type(content_type)
        if name == _NPY:
            array = _read_npy(body)
            if (array.dtype.kind == "U") is not self._type.strings:
                wanted = "strings" if self._type.strings else "numbers"
                raise BadInputError(
                    f"expected an array of {wanted}, got one of {array.dtype}"
                )
            return array
        if name == _RAW:
            dtype, shape = self._type.dtype, self._type.shape
            if dtype is None or shape is None or not self._accepts_raw():
                raise UnsupportedMediaTypeError(
                    "this API does not accept raw elements, because it declares no "
                    f"numeric dtype and shape for them; send {_JSON} or {_NPY}"
                )
            return _read_raw(body, dtype, shape)
        require_utf8_text(content_type, f"{_JSON} or {_NPY}")
        return self._type.read(body)

    def _accepts_raw(self) -> bool:
        shape = self._type.shape
        return (
            self._type.dtype is not None
            and not self._type.strings
            and shape is not None
            and shape.count(-1) <= 1
            and 0 not in shape
        )

    def _example(self) -> Any:
        shape = self._type.shape
        if self._sample is not None or shape is None:
            return self._sample
        lengths = [1 if length < 0 else length for length in shape]
        if np.prod(lengths) > _MAX_EXAMPLE_ELEMENTS:
            return None
        return np.zeros(lengths, dtype=self._type.dtype or np.float64).tolist()


def _read_npy(body: bytes) -> Array:
    """Return the array of a .npy file; a writable copy in native byte order.

    numpy's own reader is not safe here: it allocates the size that the header claims
    before it looks at the body, and its header parser raises tokenizer errors.
    """
    header, start = _header_bytes(body)
    dtype, shape, order = _layout(header, body[6])
    wanted = math.prod(shape) * dtype.itemsize
    if len(body) - start != wanted:
        raise _bad_npy(
            f"its header announces {wanted} bytes of elements, but the body has "
            f"{len(body) - start}"
        )
    return _elements(body, start, dtype, shape).reshape(shape, order=order)


def _read_raw(body: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the array of raw little-endian elements; the shape has at most one -1."""
    row_bytes = math.prod(n for n in shape if n >= 0) * dtype.itemsize
    fits = len(body) == row_bytes
    unit = ""
    if -1 in shape:
        unit = "a multiple of "
        fits = row_bytes > 0 and len(body) % row_bytes == 0
        # numpy cannot infer the length of an axis of an empty array
        shape = tuple(len(body) // max(row_bytes, 1) if n < 0 else n for n in shape)
    if not fits:
        raise BadInputError(
            f"{len(body)} bytes do not fill an array with the API's dtype {dtype} and "
            f"shape, which needs {unit}{row_bytes} bytes"
        )
    return _elements(body, 0, dtype.newbyteorder("<"), shape).reshape(shape)


def _npy_of_array(array: Array) -> bytes:
    if array.dtype.hasobject:
        raise OutputError(
            "the API function's result cannot be sent as a .npy file, because it "
            "contains Python objects"
        )
    return _npy_header(array.dtype, array.shape) + array.tobytes()


def _bad_npy(reason: str) -> BadInputError:
    return BadInputError(f"the body is not a usable .npy file: {reason}")


def _header_bytes(body: bytes) -> tuple[bytes, int]:
    length_bytes = _LENGTH_BYTES.get(body[6]) if len(body) > 7 else None
    if not body.startswith(_MAGIC) or length_bytes is None:
        raise _bad_npy("it does not start with the .npy magic bytes")
    start = 8 + length_bytes
    length = int.from_bytes(body[8:start], "little")
    if length > _MAX_HEADER_BYTES or len(body) < start + length:
        raise _bad_npy("its header is truncated or too long")
    return body[start : start + length], start + length


# Clients repeat the same header, and parsing it costs 18 us.
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
            f"its dtype is {str(descr)[:50]!r}; send bool, integer, float or str"
        )
    if not isinstance(shape, tuple) or not all(
        type(length) is int and length >= 0 for length in shape
    ):
        raise _bad_npy("its shape is not a tuple of lengths")
    if len(shape) > _MAX_NPY_DIMENSIONS:
        raise _bad_npy(f"it has more than {_MAX_NPY_DIMENSIONS} dimensions")
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
    # A copy, because frombuffer's array is read-only and user code may write to it.
    flat = flat.astype(dtype.newbyteorder("="), copy=True)
    if dtype.kind == "U":
        codes = flat.view(np.uint32)
        if (codes > _MAX_CODE_POINT).any():
            raise BadInputError("a str element is not valid Unicode")
    return flat
