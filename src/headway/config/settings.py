"""The schema as flat settings: path, type and default.

layers, resolve, document and flags walk it, so that schema alone says what there is.
"""

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from headway.config.schema import HeadwayConfig, MethodConfig, RunnerConfig

__all__ = [
    "GENERAL",
    "METHOD",
    "RUNNER",
    "KeyPath",
    "Setting",
    "is_section",
    "is_text",
    "settings_of",
    "variable_word",
]

KeyPath = tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One leaf of the schema."""

    path: KeyPath
    """Keys as in the file, from the struct that was asked for."""
    value_type: Any
    default: Any
    section: type[msgspec.Struct]
    """The struct that declares it."""
    field: str
    """Its name there."""

    @property
    def key(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The path as in an environment variable."""
        return "__".join(variable_word(word) for word in self.path)

    @property
    def flag(self) -> str:
        """The command line's name for it."""
        for meta in getattr(self.value_type, "__metadata__", ()):
            if meta.extra and "flag" in meta.extra:
                return str(meta.extra["flag"])
        return "--" + self.path[-1].replace("_", "-")

    @property
    def is_secret(self) -> bool:
        """Whether its value is not to be shown."""
        metadata = getattr(self.value_type, "__metadata__", ())
        return any((meta.extra or {}).get("secret") for meta in metadata)


def variable_word(word: str) -> str:
    """Return a key or name as an environment variable spells it."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in word).upper()


def settings_of(
    section: type[msgspec.Struct], prefix: KeyPath = ()
) -> Iterator[Setting]:
    """Yield the settings of a section and of its sections, in their order.

    Fields that are dicts, whose keys are the user's names, are left out.
    """
    for field in msgspec.structs.fields(section):
        path = (*prefix, field.encode_name)
        if is_section(field.type):
            yield from settings_of(field.type, path)
        elif typing.get_origin(field.type) is not dict:
            yield Setting(path, field.type, field.default, section, field.name)


def is_section(type_: Any) -> bool:
    """Return whether a field holds further settings."""
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def is_text(type_: Any) -> bool:
    """Return whether a setting is text, or text or null, and nothing else."""
    origin = typing.get_origin(type_)
    if origin is typing.Annotated:
        return is_text(typing.get_args(type_)[0])
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(type_)
        return all(member is types.NoneType or is_text(member) for member in members)
    return type_ is str or origin is typing.Literal


GENERAL = {setting.path: setting for setting in settings_of(HeadwayConfig)}
"""All settings but those of single runners, by path."""
RUNNER = {setting.path: setting for setting in settings_of(RunnerConfig)}
"""The settings of a runner, by path below its name."""
METHOD = {setting.path: setting for setting in settings_of(MethodConfig)}
"""The settings of a method, by path below its name."""
