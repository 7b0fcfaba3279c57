"""Array bodies: nested JSON lists, .npy files, raw elements.

Users make one per API; service/derive makes them from hints. io/array_rule says what
fits,
io/array_reader reads JSON, io/npy the other forms.
"""

from typing import Any, Self

import msgspec
import numpy as np

from headway.errors import BadInputError, OutputError, UnsupportedMediaTypeError
from headway.io.array_reader import ArrayReader
from headway.io.array_rule import ArrayRule
from headway.io.base import IODescriptor
from headway.io.json_body import PLAIN_DTYPES, encode_json, encode_plain
from headway.io.media_type import negotiate, parse_media_type, require_utf8_text
from headway.io.npy import npy_of_array, read_npy, read_raw
from headway.io.schema import schema_of_array

__all__ = ["NumpyNdarray"]

Array = np.ndarray[Any, np.dtype[Any]]
_JSON = "application/json"
_NPY = "application/x-npy"
_RAW = "application/octet-stream"
_OFFERED = (_JSON, _NPY)
_MAX_EXAMPLE_ELEMENTS = 64


class NumpyNdarray(IODescriptor):
    """A numpy array.

    In: nested JSON lists (null among numbers is NaN), a .npy file
    (`application/x-npy`), or, if dtype and shape are given, the bare elements,
    little-endian and in C order (`application/octet-stream`). Out: JSON, or .npy if
    the Accept header likes it better; NaN and infinities go out as null in JSON.

    A dtype or shape that is given is converted to where that keeps every value (see
    `ArrayRule`); what cannot be converted passes as sent, or is refused with 400 if it
    is enforced. Without a dtype any array of numbers or bools is taken.

    Args:
        dtype: bool, an integer, float or str dtype, in any form that numpy takes.
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
        self._rule = ArrayRule(
            dtype=dtype,
            enforce_dtype=enforce_dtype,
            shape=shape,
            enforce_shape=enforce_shape,
        )
        self._has_rule = dtype is not None or shape is not None
        self._dtype = self._rule.dtype
        self._strings = self._dtype is not None and self._dtype.kind == "U"
        self._read = ArrayReader(self._dtype).read
        self._sample: Any = None

    @classmethod
    def from_sample(
        cls, sample: Any, enforce_dtype: bool = False, enforce_shape: bool = False
    ) -> Self:
        """Return a descriptor with the dtype and shape of a sample.

        The first axis is taken for that of the rows: its length stays free.

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
            array = self._read(body)
        else:
            array = self._decode_other(body, content_type)
        if self._has_rule and not self._rule.fits(array):
            return self._rule.conform(array, BadInputError)
        return array

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise OutputError(
                f"the API function's result ({type(value).__name__}) makes no array: "
                f"{error}"
            ) from error
        if self._has_rule and not self._rule.fits(array):
            array = self._rule.conform(array, OutputError)
        if (
            accept is not None
            and "npy" in accept
            and negotiate(accept, _OFFERED) == _NPY
        ):
            return _NPY, _npy_output(array)
        if array.dtype.char in PLAIN_DTYPES:
            return _JSON, encode_plain(array.tolist())
        return _JSON, encode_json(array)

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        json_content = {"schema": schema_of_array(self._dtype, self._rule.shape)}
        example = self._example()
        if example is not None:
            json_content["example"] = example
        content = {_JSON: json_content, _NPY: {"schema": _BINARY}}
        if self._takes_raw():
            content[_RAW] = {"schema": _BINARY}
        return content

    def _decode_other(self, body: bytes, content_type: str) -> Array:
        name = parse_media_type(content_type).name
        if name == _NPY:
            array = read_npy(body)
            if (array.dtype.kind == "U") is not self._strings:
                wanted = "strings" if self._strings else "numbers"
                raise BadInputError(
                    f"expected an array of {wanted}, got one of {array.dtype}"
                )
            return array
        if name == _RAW:
            if self._dtype is None or self._rule.shape is None or not self._takes_raw():
                raise UnsupportedMediaTypeError(
                    "this API takes no raw elements, for it declares no dtype and "
                    f"shape that tell what they are; send {_JSON} or {_NPY}"
                )
            return read_raw(body, self._dtype, self._rule.shape)
        require_utf8_text(content_type, f"{_JSON} or {_NPY}")
        return self._read(body)

    def _takes_raw(self) -> bool:
        shape = self._rule.shape
        return (
            self._dtype is not None
            and not self._strings
            and shape is not None
            and shape.count(-1) <= 1
            and 0 not in shape
        )

    def _example(self) -> Any:
        shape = self._rule.shape
        if self._sample is not None or shape is None:
            return self._sample
        lengths = [1 if length < 0 else length for length in shape]
        if np.prod(lengths) > _MAX_EXAMPLE_ELEMENTS:
            return None
        return np.zeros(lengths, dtype=self._dtype or np.float64).tolist()


_BINARY = {"type": "string", "format": "binary"}


def _npy_output(array: Array) -> bytes:
    try:
        return npy_of_array(array)
    except ValueError as error:
        raise OutputError(
            f"the API function's result does not go into a .npy file: it holds {error}"
        ) from error
