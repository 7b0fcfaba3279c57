"""Names of saved models, and what `model.yaml` records about each.

store reads and writes records; draft fills them in; Model.info is one.
"""

import datetime
import functools
import platform
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from headway.core.version import __version__
from headway.errors import ConfigError, CorruptModelError, InvalidTagError

RECORD_FILE = "model.yaml"
_PART = re.compile(r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?")
_MAX_LENGTH = 63
_LATEST = "latest"
# Where Headway's modules for frameworks used to be. Records that name them stay valid.
_FORMER_MODULES = re.compile(r"headway\.(models\.)?frameworks\.(?=\w+$)")


class Tag(msgspec.Struct, frozen=True):
    """A model's name and, unless the latest version is meant, its version.

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
                    f"model tag {self.name}:latest: a version cannot be named 'latest'"
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
                f"model tag {value!r} is not a string; write 'name' or 'name:version'"
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
        "and '.', with a letter or digit at both ends; a tag is 'name' or "
        "'name:version'"
    )


class SignatureRecord(msgspec.Struct, frozen=True):
    """How one method of the model may be called."""

    batchable: bool = False
    """Whether the rows of several calls may share one call of the model."""
    batch_dim: tuple[int, int] = (0, 0)
    """Axis of the rows in the input, and in the result."""
    input_spec: Any = None
    """Stored as given; unused."""
    output_spec: Any = None
    """Stored as given; unused."""


class ContextRecord(msgspec.Struct, frozen=True):
    """The versions of the software that saved the model."""

    framework_name: str = ""
    """Package of the model's class."""
    framework_versions: dict[str, str] = {}
    """Versions of the distributions that loading needs."""
    headway_version: str = __version__
    """Version of Headway."""
    python_version: str = platform.python_version()
    """Version of Python."""


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known about a saved model, except its files' contents."""

    name: str
    """Name of the model."""
    version: str
    """Version of the model."""
    module: str = ""
    """Headway's module for the framework that saved it, such as `headway.sklearn`."""
    labels: dict[str, str] = {}
    """The user's short texts, to sort models by."""
    options: dict[str, Any] = {}
    """What the framework needs in order to load it."""
    metadata: dict[str, Any] = {}
    """The user's notes."""
    context: ContextRecord = msgspec.field(default_factory=ContextRecord)
    """The versions of the software that saved it."""
    signatures: dict[str, SignatureRecord] = {}
    """The methods that its runner offers."""
    api_version: str = "v1"
    """Version of this file's format."""
    creation_time: Annotated[datetime.datetime, Meta(tz=True)] = msgspec.field(
        default_factory=functools.partial(datetime.datetime.now, datetime.UTC)
    )
    """When it was saved."""
    files: dict[str, str] = {}
    """SHA-256 in hexadecimal of every other file, by relative path."""

    @property
    def tag(self) -> Tag:
        """The model's name and version."""
        return Tag(self.name, self.version)

    def encode(self) -> bytes:
        """Return the content of `model.yaml`.

        Raises:
            ConfigError: If labels, options or metadata contain what YAML cannot hold.
        """
        try:
            content = msgspec.yaml.encode(self, enc_hook=_encode_foreign)
            msgspec.yaml.decode(content, type=ModelRecord)  # it must be readable too
        except (
            msgspec.MsgspecError,
            NotImplementedError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise ConfigError(
                f"model {self.tag}: labels and metadata must be plain values (text, "
                f"numbers, lists, and dicts with text keys): {error}"
            ) from error
        return content

    @classmethod
    def decode(cls, content: bytes, *, where: str) -> "ModelRecord":
        """Read the content of `model.yaml`, also that of older versions of Headway.

        Args:
            content: The file's bytes.
            where: The file, for the message.

        Raises:
            CorruptModelError: If it is not a valid record.
        """
        try:
            record = msgspec.yaml.decode(content, type=cls)
            Tag(record.name, record.version)
        except (
            msgspec.MsgspecError,
            InvalidTagError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            reason = str(error).replace("\n", " ")
            raise CorruptModelError(
                f"{where} is not a model's record: {reason}; save the model again"
            ) from error
        module = _FORMER_MODULES.sub("headway.", record.module)
        return msgspec.structs.replace(record, module=module)


def _encode_foreign(value: Any) -> Any:
    """Return numpy's scalars and arrays as plain values, without importing numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"found a {type(value).__name__}")
