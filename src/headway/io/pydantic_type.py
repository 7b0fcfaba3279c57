"""JSON bodies through pydantic, the one module of io/ that imports it.

io/json makes one per descriptor, when a service names a pydantic model or a type that
holds one.
"""

import re
from typing import Any

from headway.errors import BadInputError, ConfigError, MissingExtraError
from headway.io.schema import COMPONENT

__all__ = ["PydanticType"]

_MAX_FIELDS = 20
_MAX_REASON = 200


class PydanticType:
    """Decoder and schema of a type that pydantic validates.

    Args:
        kind: A model class, or any type hint that pydantic takes.

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
            # The validator itself: TypeAdapter.validate_json costs 0.4 us on top.
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
        """Return the error that names every field and what is wrong with it."""
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
        """Return (schema, components); an open schema where pydantic has none."""
        from pydantic.errors import PydanticInvalidForJsonSchema

        try:
            schema = self._adapter.json_schema(
                ref_template=COMPONENT.replace("{name}", "{model}")
            )
        except PydanticInvalidForJsonSchema:
            return {}, {}
        components = schema.pop("$defs", {})
        if isinstance(self._kind, type) and set(schema) != {"$ref"}:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", self._kind.__name__)
            if name not in components:
                components[name] = schema
                schema = {"$ref": COMPONENT.format(name=name)}
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
