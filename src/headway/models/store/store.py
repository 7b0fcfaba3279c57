"""The model store: a directory of models that appear and vanish in one step.

models, frameworks/ and the CLI call it; it calls record, staging, content, archive.

    ROOT/NAME/VERSION/{model.yaml, the model's files}
    ROOT/NAME/latest            the version that `NAME` and `NAME:latest` mean
    ROOT/.saving/               models being written
"""

import base64
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headway.errors import CorruptModelError, ModelExistsError, StoreError
from headway.models.store import archive, content
from headway.models.store.catalog import LATEST_FILE, Catalog
from headway.models.store.record import RECORD_FILE, ModelRecord
from headway.models.store.staging import Staging
from headway.models.store.tag import Tag
from headway.models.store.version_lock import Pins

__all__ = ["ModelStore"]


class ModelStore(Catalog):
    """Models in a directory; safe for any number of processes at once.

    Args:
        root: The directory; made by the first save.
        pins: What the server's processes have settled on, if this is one of them.
    """

    def __init__(self, root: Path, *, pins: Pins | None = None) -> None:
        super().__init__(root, pins=pins)
        self._staging = Staging(root)

    def assign(self, tag: str | Tag) -> Tag:
        """Return the tag to save a model under: with a new version if it has none."""
        wanted = Tag.parse(tag)
        return wanted if wanted.version is not None else Tag(wanted.name, _version())

    @contextlib.contextmanager
    def create(self, record: ModelRecord) -> Iterator[Path]:
        """Give a directory to write files in; publish it when the block ends well.

        Args:
            record: The model. If it lists files, as that of an archive does, those
                and no others must be written, and a newer model stays `latest`.

        Raises:
            ModelExistsError: If the version is already there.
            CorruptModelError: If the files written are not those listed.
            ConfigError: If labels, options or metadata hold what YAML cannot.
            StoreError: If the store cannot be written.
        """
        self._refuse_existing(record.tag)
        encoded = record.encode()  # fails before a long save, not after it
        with contextlib.ExitStack() as stack:
            with self._translated("write to"):
                draft = stack.enter_context(self._staging.draft())
            yield draft
            with self._translated("write to"):
                sums = _sums(record, draft)
                if sums != record.files:
                    encoded = msgspec.structs.replace(record, files=sums).encode()
                (draft / RECORD_FILE).write_bytes(encoded)
                content.sync_tree(draft)
                with self._staging.exclusive():
                    self._publish(record, draft)

    def delete(self, tag: str | Tag) -> Tag:
        """Remove a model; `latest` falls back to the newest that is left.

        Returns:
            The tag of what was removed.

        Raises:
            ModelNotFoundError: If there is no such model.
            AmbiguousTagError: If several versions have the prefix.
            StoreError: If the store cannot be written.
        """
        found = self.resolve(tag)
        parent = self.root / found.name
        with self._translated("delete from"), self._staging.exclusive():
            if not self.directory(found).exists():
                raise self._not_found(found)
            self._staging.discard(self.directory(found))
            newest = self.newest(found.name)
            if newest is None:
                (parent / LATEST_FILE).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # something else is in there
                    parent.rmdir()
            elif self.latest(found.name) is None:
                self._staging.write_file(parent / LATEST_FILE, newest.version)
        return found

    def export_model(self, tag: str | Tag, target: Path) -> Path:
        """Write a model to one file, `.hwmodel`, and return that file.

        Args:
            tag: The model.
            target: The file, or a directory to write `NAME-VERSION.hwmodel` in.

        Raises:
            ModelNotFoundError: If there is no such model.
            CorruptModelError: If one of its files is.
            StoreError: If the file cannot be written.
        """
        record = self.get(tag)
        self.verify(record)
        return archive.write_archive(record, self.directory(record.tag), target)

    def import_model(self, path: Path) -> ModelRecord:
        """Add the model of an exported file.

        Raises:
            ModelExistsError: If the version is already there.
            CorruptModelError: If the file is damaged or unsafe.
            StoreError: If it cannot be read, or the store not written.
        """
        record = archive.read_record(path)
        with self.create(record) as draft:
            archive.extract(path, record, draft)
        return record

    def _publish(self, record: ModelRecord, draft: Path) -> None:
        """Make a complete draft visible; the caller holds `exclusive`."""
        self._refuse_existing(record.tag)
        target = self.directory(record.tag)
        target.parent.mkdir(exist_ok=True)
        draft.rename(target)
        # A clock that went back must not hide a save; an archive's age counts.
        newest = self.newest(record.name) if record.files else None
        if newest is None or newest.version == record.version:
            self._staging.write_file(target.parent / LATEST_FILE, target.name)
        content.sync_path(target.parent)
        content.sync_path(self.root)

    def _refuse_existing(self, tag: Tag) -> None:
        if self.directory(tag).exists():
            raise ModelExistsError(
                f"model {tag} is already in {self.root}; save under another version, "
                f"or delete it first with `headway models delete {tag}`"
            )

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot {action} the model store {self.root}: {error}; check the disk "
                "and the rights, or set HEADWAY_HOME to another directory"
            ) from error


def _version() -> str:
    """Return 80 bits of a uuid1 in 16 characters, those that change fastest first.

    The time comes first so that a short prefix tells versions apart, then what tells
    processes and machines apart that save in the same 100 ns.
    """
    made = uuid.uuid1()
    low_time_first = made.bytes[:4] + made.bytes[4:6] + made.bytes[8:10]
    machine_and_age = bytes([made.bytes[15], made.bytes[7]])
    return base64.b32encode(low_time_first + machine_and_age).decode("ascii").lower()


def _sums(record: ModelRecord, draft: Path) -> dict[str, str]:
    found = content.sum_tree(draft)
    if record.files and found != record.files:
        odd = sorted(dict(found.items() ^ record.files.items()))
        raise CorruptModelError(
            f"model {record.tag}: the file {odd[0]!r} is not what {RECORD_FILE} says; "
            "export the model again"
        )
    return found
