"""The reading half of the model store: which models there are and what a tag means.

ModelStore extends it; it never writes, so that a read-only directory can be served.
"""

import difflib
import logging
from collections.abc import Iterator
from pathlib import Path

from headway.errors import (
    AmbiguousTagError,
    CorruptModelError,
    InvalidTagError,
    ModelNotFoundError,
)
from headway.models.store import content
from headway.models.store.record import RECORD_FILE, ModelRecord
from headway.models.store.tag import Tag
from headway.models.store.version_lock import Pins

__all__ = ["LATEST_FILE", "Catalog"]

_log = logging.getLogger(__name__)
LATEST_FILE = "latest"


class Catalog:
    """The models in a directory, laid out as `NAME/VERSION/`.

    Args:
        root: The directory; may not exist yet.
        pins: What the server's processes have settled on, if this is one of them.
    """

    def __init__(self, root: Path, *, pins: Pins | None = None) -> None:
        self.root = root
        self._pins = pins

    def directory(self, tag: Tag) -> Path:
        """Return where the files of a tag with a version are."""
        return self.root / tag.name / str(tag.version)

    def names(self) -> list[str]:
        """Return the names of all models in alphabetical order."""
        return sorted(name for name in _directories(self.root) if self.versions(name))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model in alphabetical order; none if unknown."""
        return sorted(_directories(self.root / name))

    def resolve(self, tag: str | Tag) -> Tag:
        """Return the tag with its full version.

        Args:
            tag: `name` or `name:latest`, `name:version`, or a prefix of one version.

        Raises:
            InvalidTagError: If the tag is malformed.
            ModelNotFoundError: If there is no such model.
            AmbiguousTagError: If several versions have the prefix.
        """
        asked = Tag.parse(tag)
        if asked.version is not None and self.directory(asked).is_dir():
            return asked
        if self._pins is not None:
            return self._pins.resolve(asked, lambda: self._find(asked))
        return self._find(asked)

    def get(self, tag: str | Tag) -> ModelRecord:
        """Return the record of a model; its files are verified when they are loaded.

        Raises:
            InvalidTagError: If the tag is malformed.
            ModelNotFoundError: If there is no such model.
            AmbiguousTagError: If several versions have the prefix.
            CorruptModelError: If its `model.yaml` is missing or damaged.
        """
        found = self.resolve(tag)
        path = self.directory(found) / RECORD_FILE
        try:
            written = path.read_bytes()
        except OSError as error:
            if not path.parent.exists():
                raise self._not_found(found) from error
            raise CorruptModelError(
                f"model {found}: cannot read {path}: {error.strerror}; save or import "
                "the model again"
            ) from error
        record = ModelRecord.decode(written, where=str(path))
        if record.tag != found:
            raise CorruptModelError(
                f"{path} says that it is {record.tag}; save or import the model again"
            )
        return record

    def records(self, name: str | None = None) -> list[ModelRecord]:
        """Return the readable models by name, the newest of each name first.

        A corrupt one is logged and left out: it must not hide the others.

        Args:
            name: Only the versions of this model.
        """
        found = []
        for each in self.names() if name is None else [Tag.parse(name).name]:
            of_name = self._readable(each)
            found += sorted(of_name, key=lambda r: r.creation_time, reverse=True)
        return found

    def verify(self, record: ModelRecord, *names: str) -> None:
        """Compare a model's files with their sums; all files if none is named.

        Raises:
            CorruptModelError: If one is missing, unreadable or differs.
        """
        content.verify(record, self.directory(record.tag), *names)

    def newest(self, name: str) -> ModelRecord | None:
        """Return the model of that name with the latest creation time."""
        return max(self._readable(name), key=lambda r: r.creation_time, default=None)

    def latest(self, name: str) -> Tag | None:
        """Return what the file `latest` says, if that is a model that is there."""
        try:
            written = (self.root / name / LATEST_FILE).read_text("utf-8").strip()
            tag = Tag(name, written)
        except (OSError, UnicodeDecodeError, InvalidTagError):
            return None
        return tag if (self.directory(tag) / RECORD_FILE).is_file() else None

    def _readable(self, name: str) -> list[ModelRecord]:
        found = []
        for version in self.versions(name):
            try:
                found.append(self.get(Tag(name, version)))
            except ModelNotFoundError:
                continue  # deleted since the directory was listed
            except CorruptModelError as error:
                _log.warning("%s", error)
        return found

    def _find(self, asked: Tag) -> Tag:
        if asked.version is None:
            # A saver killed just before it wrote `latest` left the newest behind.
            newest = self.latest(asked.name) or self.newest(asked.name)
            versions = [] if newest is None else [str(newest.version)]
        else:
            prefix = asked.version
            versions = [v for v in self.versions(asked.name) if v.startswith(prefix)]
        if not versions:
            raise self._not_found(asked)
        if len(versions) > 1:
            raise AmbiguousTagError(
                f"model tag {asked} matches several versions, {_some(versions)}; write "
                "more of the one you mean"
            )
        return Tag(asked.name, versions[0])

    def _not_found(self, asked: Tag) -> ModelNotFoundError:
        versions = self.versions(asked.name)
        near = difflib.get_close_matches(asked.name, self.names(), n=1)
        if asked.version is not None and versions:
            hint = f"{asked.name} has {_some(versions)}"
        elif near and near[0] != asked.name:
            hint = f"did you mean {near[0]!r}?"
        else:
            hint = "save it with `headway.<framework>.save_model(...)`"
        return ModelNotFoundError(
            f"no model {asked} in {self.root}: {hint} (`headway models list` shows all)"
        )


def _some(versions: list[str]) -> str:
    return ", ".join(versions[:4]) + (", ..." if len(versions) > 4 else "")


def _directories(parent: Path) -> Iterator[str]:
    """Give the names of the sub-directories that can be a model's name or version."""
    try:
        paths = list(parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        try:
            part = Tag(path.name).name
        except InvalidTagError:
            continue  # not the store's, as a `.saving` or a `lost+found`
        if path.is_dir():
            yield part
