"""What `model.yaml` says about a saved model.

store writes and reads it; Model.info is one; frameworks/ fill it in.
"""

import datetime
import platform
from typing import Any

import msgspec

from headway.core.version import __version__
from headway.errors import ConfigError, CorruptModelError, InvalidTagError
from headway.models.store.tag import Tag

__all__ = ["RECORD_FILE", "ContextRecord", "ModelRecord", "SignatureRecord"]

RECORD_FILE = "model.yaml"


class SignatureRecord(msgspec.Struct, frozen=True):
    """How one method of the model may be called."""

    batchable: bool = False
    """Whether the rows of several calls may be joined in one call."""
    batch_dim: tuple[int, int] = (0, 0)
    """Axis of the rows in the input, and in the result."""
    input_spec: Any = None
    """Kept as given; unused."""
    output_spec: Any = None
    """Kept as given; unused."""


class ContextRecord(msgspec.Struct, frozen=True):
    """Where the model was saved."""

    framework_name: str = ""
    """Package of the model's class."""
    framework_versions: dict[str, str] = {}
    """Versions of the distributions that loading needs."""
    headway_version: str = __version__
    """Version of Headway."""
    python_version: str = platform.python_version()
    """Version of Python."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A saved model, apart from its files' contents."""

    name: str
    """Name of the model."""
    version: str
    """Version of the model."""
    module: str = ""
    """Headway's module for the framework that saved it."""
    labels: dict[str, str] = {}
    """The user's short texts, to sort models by."""
    options: dict[str, Any] = {}
    """What the framework needs in order to load it."""
    metadata: dict[str, Any] = {}
    """The user's notes."""
    context: ContextRecord = msgspec.field(default_factory=ContextRecord)
    """Where it was saved."""
    signatures: dict[str, SignatureRecord] = {}
    """Its methods that a runner offers."""
    api_version: str = "v1"
    """Version of this file's format."""
    creation_time: datetime.datetime = msgspec.field(default_factory=_now)
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
            ConfigError: If labels, options or metadata hold what YAML cannot.
        """
        try:
            # Values that would not be read again must not be written either.
            content = msgspec.yaml.encode(self, enc_hook=_encode_foreign)
            msgspec.yaml.decode(content, type=ModelRecord)
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
        """Read the content of `model.yaml`.

        Args:
            content: The file's bytes.
            where: The file, for the message.

        Raises:
            CorruptModelError: If it is no such file.
        """
        try:
            record = msgspec.yaml.decode(content, type=cls)
            tag = record.tag
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
        if tag.version is None or record.creation_time.tzinfo is None:
            raise CorruptModelError(
                f"{where} lacks a version or its time zone; save the model again"
            )
        return record


def _encode_foreign(value: Any) -> Any:
    """Return numpy's scalars and arrays as plain values, without importing numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"found a {type(value).__name__}")
