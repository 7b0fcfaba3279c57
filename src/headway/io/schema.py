"""JSON Schemas (2020-12, as OpenAPI 3.1 has them) of types, dtypes and samples.

The descriptors of io/ call it for their documentation, never on the hot path.
"""

from typing import Any

import msgspec
import numpy as np

__all__ = [
    "COMPONENT",
    "schema_of_array",
    "schema_of_sample",
    "schema_of_type",
    "unknown_classes",
]

Schema = dict[str, Any]
COMPONENT = "#/components/schemas/{name}"

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
    """Return the schema of nested lists.

    Args:
        dtype: Of the elements; any number if None.
        shape: -1 for an axis of any length; any number of axes if None.
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
    """Return a schema that the sample, made of plain JSON values, fits.

    Every field of an object in the sample is required; the items of a list have the
    schema of its first one.
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
            return (
                {"type": "array", "items": schema_of_sample(sample[0])}
                if (sample)
                else {"type": "array"}
            )
        case dict():
            fields = {name: schema_of_sample(value) for name, value in sample.items()}
            return {"type": "object", "properties": fields, "required": list(fields)}
        case _:
            return {}


def schema_of_type(kind: Any) -> tuple[Schema, dict[str, Schema]]:
    """Return (schema, components) of a type that msgspec knows wholly."""
    (schema,), components = msgspec.json.schema_components(
        (kind,), ref_template=COMPONENT
    )
    return schema, components


def unknown_classes(kind: Any) -> list[type]:
    """Return the classes within a type whose values msgspec would not check itself.

    pydantic's dataclasses are among them: msgspec would fill them unvalidated.

    Raises:
        TypeError: If msgspec cannot decode the type at all; the message says why.
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
