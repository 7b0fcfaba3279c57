"""Encodes any value as JSON, and explains invalid JSON to clients.

io/json, io/numpy and io/arrays call it. It recognises pandas, torch and pydantic values
by their methods, so that it imports none of those packages.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from inspect import isawaitable
from typing import Any, Final

import msgspec
import numpy as np

from headway.errors import BadInputError, OutputError

# What a msgspec decoder raises: DecodeError for malformed JSON and JSON of the wrong
# type, the others for invalid UTF-8 and for deep nesting.
JSON_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_MESSAGE = 500


def bad_json(error: Exception, body: bytes) -> BadInputError:
    """Return the error that says why a body was refused.

    Args:
        error: One of JSON_ERRORS.
        body: The request's body.
    """
    if not body.strip():
        return BadInputError("the body is empty; send JSON")
    if isinstance(error, RecursionError):
        return BadInputError("the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return BadInputError("the JSON is malformed: it is not valid UTF-8")
    reason = str(error)
    if len(reason) > _MAX_MESSAGE:
        reason = reason[:_MAX_MESSAGE] + "..."
    if isinstance(error, msgspec.ValidationError):
        return BadInputError(f"the JSON does not fit: {reason}")
    if reason == "Input data was truncated":
        reason = f"it ends too early, after byte {len(body)}"
    return BadInputError(
        f"the JSON is malformed: {reason.removeprefix('JSON is malformed: ')}"
    )


PLAIN_DTYPES: Final = "?bBhHiIlLqQefd"
"""Characters of the dtypes whose elements `tolist` returns as JSON values."""


def encode_json(value: Any) -> bytes:
    """Return a result as JSON; NaN and infinities become null.

    Supported are all values that msgspec supports (dataclasses, Structs, attrs,
    datetimes, sets, enums, UUIDs, ...), numpy arrays and scalars, pydantic models,
    DataFrames (a list of one object per row), Series, Indexes, and objects with a
    `tolist()`.

    Raises:
        OutputError: If it contains anything else.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise _bad_output(value, error) from error


def encode_with(encoder: type[json.JSONEncoder]) -> Callable[[Any], bytes]:
    """Return a function like `encode_json` that uses the user's own encoder class."""

    def encode(value: Any) -> bytes:
        try:
            return json.dumps(
                value, cls=encoder, ensure_ascii=False, separators=(",", ":")
            ).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise _bad_output(value, error) from error

    return encode


def _bad_output(value: Any, error: Exception) -> OutputError:
    if isinstance(error, RecursionError):
        reason = "it contains itself or is nested too deeply"
    else:
        reason = str(error)[:_MAX_MESSAGE]
    return OutputError(
        f"the API function's result ({type(value).__name__}) cannot be encoded as "
        f"JSON: {reason}"
    )


def _plain(value: Any) -> Any:
    """Return something that msgspec can encode instead of `value`.

    msgspec calls this for values and dict keys of types that it does not support.
    None, bool and tuple occur only as keys.
    """
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, np.generic):
        return _plain_array(np.asarray(value))
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str | int | float):
        return _plain_scalar(value)
    if isinstance(value, datetime | date | timedelta):
        # pandas' NaT is a datetime that does not equal itself
        return value.isoformat() if value == value else None  # type: ignore[union-attr]
    if hasattr(value, "model_dump_json"):
        return _plain_model(value)
    return _plain_container(value)


def _plain_scalar(value: str | float) -> str | int | float:
    # A sub-class: do not call its own __str__ or __int__.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _plain_array(array: np.ndarray[Any, Any]) -> Any:
    kind = array.dtype.kind
    if kind in "mM":
        plain = array.astype(np.str_).astype(np.object_)
        plain[np.isnat(array)] = None
        return plain.tolist()
    if kind == "S":
        return np.char.decode(array, "utf-8").tolist()
    if array.dtype.itemsize > 8 and kind == "f":
        return array.astype(np.float64).tolist()
    if kind in "cV":
        raise TypeError(f"an array of {array.dtype} is not supported")
    return array.tolist()


def _plain_model(model: Any) -> Any:
    try:
        return msgspec.Raw(model.model_dump_json().encode())
    except ValueError:
        # It has fields that pydantic cannot encode, such as arrays.
        return model.model_dump()


def _plain_container(value: Any) -> Any:
    if isawaitable(value):
        raise TypeError("it is a coroutine; is an `await` missing?")
    if isinstance(value, tuple):
        raise TypeError("a tuple cannot be a key of an object")
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, type):
        return list(value)
    if type(value).__name__ == "NAType":
        return None
    raise TypeError(f"{type(value).__qualname__} is not supported")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
encode_plain: Final = msgspec.json.Encoder().encode
"""Encodes lists of numbers with less overhead than `encode_json`."""
