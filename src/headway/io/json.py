"""JSON bodies: plain, or validated by pydantic or msgspec.

Users create one per API, or service/api derives it from type hints. io/json_body
encodes results and explains invalid bodies; io/schema holds the types' schemas.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, Self, get_args

import msgspec

from headway.errors import BadInputError, ConfigError
from headway.io.base import IODescriptor, require_utf8_text
from headway.io.json_body import JSON_ERRORS, bad_json, encode_json, encode_with
from headway.io.schema import (
    PydanticType,
    schema_of_sample,
    schema_of_type,
    unknown_classes,
)

_TYPE = "application/json"
_NO_SAMPLE = object()


class JSON(IODescriptor):
    """A JSON body.

    As input it gives the API function plain values (dict, list, str, ...), or an
    instance of the given type. As output it accepts every value that `encode_json`
    supports, including numpy arrays and pydantic models; there the type is
    documentation only and results are not validated. JSON has no NaN or infinity, so
    both become null.

    Args:
        pydantic_model: A pydantic model class, or any type hint that pydantic supports.
        msgspec_type: A msgspec Struct, dataclass, TypedDict, or any type hint that
            msgspec supports; several times faster than pydantic.
        validate_json: False gives the function plain values and uses the type as
            documentation only.
        json_encoder: A sub-class of `json.JSONEncoder` for the output.

    Raises:
        ConfigError: If the type cannot be decoded, or two are given.
    """

    def __init__(
        self,
        *,
        pydantic_model: Any = None,
        msgspec_type: Any = None,
        validate_json: bool | None = None,
        json_encoder: type[json.JSONEncoder] | None = None,
    ) -> None:
        if pydantic_model is not None and msgspec_type is not None:
            raise ConfigError(
                "JSON(): give a pydantic_model or a msgspec_type, not both"
            )
        self._sample: Any = _NO_SAMPLE
        self._pydantic: PydanticType | None = None
        self._msgspec_type = msgspec_type
        self._errors: tuple[type[Exception], ...] = JSON_ERRORS
        decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
        typed = decode
        if pydantic_model is not None:
            self._pydantic = PydanticType(pydantic_model)
            self._errors = (*JSON_ERRORS, self._pydantic.errors)
            typed = self._pydantic.decode
        elif msgspec_type is not None:
            typed = _msgspec_decoder(msgspec_type).decode
        self._decode = decode if validate_json is False else typed
        self._encode = encode_with(json_encoder) if json_encoder else encode_json

    @classmethod
    def from_sample(cls, sample: Any) -> Self:
        """Return a descriptor documented by a sample.

        Bodies are validated if the sample is a pydantic model, Struct or dataclass.

        Args:
            sample: Any value that can be encoded; the example in the documentation.
        """
        if hasattr(sample, "model_dump_json"):
            descriptor = cls(pydantic_model=type(sample))
        elif isinstance(sample, msgspec.Struct) or dataclasses.is_dataclass(sample):
            descriptor = cls.of_type(type(sample))
        else:
            descriptor = cls()
        descriptor._sample = msgspec.json.decode(encode_json(sample))
        return descriptor

    @classmethod
    def of_type(cls, kind: Any) -> Self:
        """Return a descriptor for any type hint, with msgspec if it supports the hint.

        Raises:
            ConfigError: If neither msgspec nor pydantic can decode it.
        """
        try:
            use_pydantic = any(map(_is_pydantic, unknown_classes(kind)))
        except (TypeError, NameError):
            # Unlike msgspec, pydantic supports unions that contain a pydantic model.
            use_pydantic = _mentions_pydantic(kind)
        return cls(pydantic_model=kind) if use_pydantic else cls(msgspec_type=kind)

    def decode(self, body: bytes, content_type: str | None) -> Any:  # noqa: D102
        if content_type is not None and content_type != _TYPE:
            require_utf8_text(content_type, _TYPE)
        try:
            return self._decode(body)
        except self._errors as error:
            raise self._bad_input(error, body) from error

    def encode(self, value: Any, accept: str | None) -> tuple[str, bytes]:  # noqa: D102
        return _TYPE, self._encode(value)

    def openapi_content(self) -> dict[str, Any]:  # noqa: D102
        content = {"schema": self._schema()[0]}
        if self._sample is not _NO_SAMPLE:
            content["example"] = self._sample
        return {_TYPE: content}

    def openapi_components(self) -> dict[str, Any]:  # noqa: D102
        return self._schema()[1]

    def _bad_input(self, error: Exception, body: bytes) -> BadInputError:
        if (
            self._pydantic is not None
            and body
            and isinstance(error, self._pydantic.errors)
        ):
            return self._pydantic.bad_input(error)
        return bad_json(error, body)

    def _schema(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._pydantic is not None:
            return self._pydantic.schema()
        if self._msgspec_type is not None:
            return schema_of_type(self._msgspec_type)
        if self._sample is not _NO_SAMPLE:
            return schema_of_sample(self._sample), {}
        return {}, {}


def _msgspec_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    try:
        unknown = unknown_classes(kind)
        decoder = msgspec.json.Decoder(kind)
    except (TypeError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"JSON cannot be decoded to {kind!r}: {reason}") from error
    if unknown:
        name = f"{unknown[0].__module__}.{unknown[0].__qualname__}"
        raise ConfigError(f"JSON cannot be decoded to {kind!r}: it contains {name}")
    return decoder


def _is_pydantic(kind: Any) -> bool:
    return hasattr(kind, "__pydantic_validator__")


def _mentions_pydantic(kind: Any) -> bool:
    return _is_pydantic(kind) or any(map(_mentions_pydantic, get_args(kind)))
