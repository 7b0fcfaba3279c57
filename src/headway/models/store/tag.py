"""The name of a saved model: `name`, `name:version` or `name:latest`.

Everything that looks a model up parses one; it calls nothing.
"""

import re

import msgspec

from headway.errors import InvalidTagError

__all__ = ["Tag"]

_PART = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")
_MAX_LENGTH = 63
_LATEST = "latest"


class Tag(msgspec.Struct, frozen=True):
    """A model's name and, unless the latest is meant, its version.

    Raises:
        InvalidTagError: If the name or version is malformed.
    """

    name: str
    """At most 63 of a-z, 0-9, '-', '_' and '.', with a letter or digit at the ends."""
    version: str | None = None
    """As `name`; None is the latest version."""

    def __post_init__(self) -> None:
        _check(self.name, "name")
        if self.version is not None:
            _check(self.version, "version")
            if self.version == _LATEST:
                raise InvalidTagError(
                    f"model tag {self.name}:latest: no version can be called 'latest'"
                )

    @classmethod
    def parse(cls, value: "str | Tag") -> "Tag":
        """Read a tag; upper case becomes lower case, `latest` becomes None.

        Raises:
            InvalidTagError: If the name or version is malformed.
        """
        if isinstance(value, Tag):
            return value
        if not isinstance(value, str):
            raise InvalidTagError(
                f"model tag {value!r} is no string; write 'name' or 'name:version'"
            )
        name, colon, version = value.lower().partition(":")
        if not colon or version == _LATEST:
            return cls(name)
        return cls(name, version)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def _check(part: str, what: str) -> None:
    if len(part) <= _MAX_LENGTH and _PART.fullmatch(part):
        return
    raise InvalidTagError(
        f"model {what} {part[:80]!r}: use at most {_MAX_LENGTH} of a-z, 0-9, '-', '_' "
        "and '.', beginning and ending with a letter or digit; a tag is 'name' or "
        "'name:version'"
    )
