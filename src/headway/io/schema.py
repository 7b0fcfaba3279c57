"""JSON Schemas (2020-12, as in OpenAPI 3.1) of types, dtypes and samples.

io/json and io/numpy call it for their documentation, never per request, except
`PydanticType.decode`. It is the only module of io/ that imports pydantic.
"""

import re
from typing import Any

import msgspec
import numpy as np

from headway.errors import BadInputError, ConfigError, MissingExtraError

Schema = dict[str, Any]
_COMPONENT = "#/components/schemas/{name}"
_MAX_FIELDS = 20
_MAX_REASON = 200

_BY_KIND: dict[str, Schema] = {
    "b": {"type": "boolean"},
    "i": {"type": "integer"},
    "u": {"type": "integer", "minimum": 0},
    "f": {"type": "number"},
    "U": {"type": "string"},
}


def schema_of_array(
    dtype: np.dtype[Any] | None, shape: tuple[int, ...] | None
) -> Schema:
    """Return the schema of an array as nested lists.

    Args:
        dtype: The elements' dtype; None for any numbers.
        shape: Length of each axis, -1 for any; None for any shape.
    """
    items: Schema = {"type": "number"} if dtype is None else dict(_BY_KIND[dtype.kind])
    if shape is None:
        return {"type": "array", "items": {"anyOf": [items, {"type": "array"}]}}
    for length in reversed(shape):
        items = {"type": "array", "items": items}
        if length >= 0:
            items |= {"minItems": length, "maxItems": length}
    return items


def schema_of_sample(sample: Any) -> Schema:
    """Return a schema for values like the sample, which consists of JSON values.

    All fields of its objects are required; items of a list have its first item's
    schema.
    """
    match sample:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            items = {"items": schema_of_sample(sample[0])} if sample else {}
            return {"type": "array", **items}
        case dict():
            fields = {name: schema_of_sample(value) for name, value in sample.items()}
            return {"type": "object", "properties": fields, "required": list(fields)}
        case _:
            return {}


def schema_of_type(kind: Any) -> tuple[Schema, dict[str, Schema]]:
    """Return (schema, components) of a type that msgspec can decode."""
    (schema,), components = msgspec.json.schema_components(
        (kind,), ref_template=_COMPONENT
    )
    return schema, components


def unknown_classes(kind: Any) -> list[type]:
    """Return the classes inside a type whose values msgspec cannot validate.

    They include pydantic's dataclasses, which msgspec would fill without validation.

    Raises:
        TypeError: If msgspec cannot decode the type at all, with the reason.
    """
    found: dict[type, None] = {}
    waiting: list[Any] = [msgspec.inspect.type_info(kind)]
    seen: set[int] = set()
    kept_alive = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, msgspec.inspect.Type | msgspec.inspect.Field):
            if id(node) in seen:
                continue
            seen.add(id(node))
            kept_alive.append(node)
            cls = getattr(node, "cls", None)
            if isinstance(node, msgspec.inspect.CustomType) or hasattr(
                cls, "__pydantic_validator__"
            ):
                found[node.cls] = None  # type: ignore[union-attr] # has one, see above
            waiting.extend(
                getattr(node, field)
                for field in node.__struct_fields__
                if field not in ("cls", "default", "default_factory")
            )
    return list(found)


class PydanticType:
    """Decoder and schema of a type that pydantic validates.

    Args:
        kind: A model class, or any type hint that pydantic supports.

    Raises:
        ConfigError: If pydantic cannot validate the type.
        MissingExtraError: If pydantic 2 is not installed.
    """

    __slots__ = ("_adapter", "_decode", "_kind", "errors")

    def __init__(self, kind: Any) -> None:
        try:
            from pydantic import TypeAdapter, ValidationError
            from pydantic.errors import PydanticUserError
        except ImportError as error:
            raise MissingExtraError(
                "JSON(pydantic_model=...) needs pydantic 2; run "
                "`pip install 'headway[pydantic]'`"
            ) from error
        try:
            self._adapter = TypeAdapter(kind)
            # The validator itself: TypeAdapter.validate_json costs 0.4 us more.
            self._decode = self._adapter.validator.validate_json
        except (PydanticUserError, TypeError, NameError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"pydantic cannot validate {_name(kind)}: {reason}"
            ) from error
        self._kind = kind
        self.errors: type[Exception] = ValidationError

    def decode(self, body: bytes) -> Any:
        """Return the validated value; raises one of `errors`."""
        return self._decode(body)

    def bad_input(self, error: Any) -> BadInputError:
        """Return an error that names every invalid field with the reason."""
        faults = error.errors(
            include_url=False, include_context=False, include_input=False
        )
        reasons = [_reason(fault) for fault in faults[:_MAX_FIELDS]]
        if len(faults) > _MAX_FIELDS:
            reasons.append(f"and {len(faults) - _MAX_FIELDS} more")
        if faults and faults[0]["type"] == "json_invalid":
            return BadInputError(f"the JSON is malformed: {'; '.join(reasons)}")
        return BadInputError(f"the JSON does not fit: {'; '.join(reasons)}")

    def schema(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (schema, components); `{}` for types without a schema."""
        from pydantic.errors import PydanticInvalidForJsonSchema

        try:
            schema = self._adapter.json_schema(
                ref_template=_COMPONENT.replace("{name}", "{model}")
            )
        except PydanticInvalidForJsonSchema:
            return {}, {}
        components = schema.pop("$defs", {})
        if isinstance(self._kind, type) and set(schema) != {"$ref"}:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", self._kind.__name__)
            if name not in components:
                components[name] = schema
                schema = {"$ref": _COMPONENT.format(name=name)}
        return schema, components


def _reason(fault: dict[str, Any]) -> str:
    path = ""
    for step in fault["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    reason = fault["msg"]
    if fault["type"] == "json_invalid":
        reason = reason.removeprefix("Invalid JSON: ")
    reason = f"{path.removeprefix('.')}: {reason}" if path else reason
    return reason if len(reason) <= _MAX_REASON else reason[:_MAX_REASON] + "..."


def _name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind)
