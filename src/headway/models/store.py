"""The model store: a directory of models that appear and vanish in one step.

draft, library, frameworks/ and the CLI call it; it calls record, files and archive.

    ROOT/NAME/VERSION/{model.yaml, the model's files}
    ROOT/NAME/latest            the version that `NAME` and `NAME:latest` mean
    ROOT/.saving/               models being written
"""

import base64
import contextlib
import difflib
import functools
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from headway.errors import (
    AmbiguousTagError,
    ConfigError,
    CorruptModelError,
    InvalidTagError,
    ModelExistsError,
    ModelNotFoundError,
    StoreError,
)
from headway.models import archive
from headway.models.files import (
    Staging,
    check_file_name,
    locked_version,
    sum_file,
    sum_tree,
    sync_path,
)
from headway.models.record import RECORD_FILE, ModelRecord, Tag

VERSION_LOCK_VARIABLE = "HEADWAY_VERSION_LOCK"
"""By it, the supervisor gives its children a folder for locked versions."""

_log = logging.getLogger(__name__)
_LATEST_FILE = "latest"
_ADVICE = "save or import the model again"


def open_store(environ: Mapping[str, str] = os.environ) -> "ModelStore":
    """Return the store in `$HEADWAY_HOME`, or in `~/.headway` if that is not set.

    Raises:
        ConfigError: If there is no home directory.
    """
    try:
        home = Path(environ.get("HEADWAY_HOME") or "~/.headway").expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"no directory for models: {error}; set HEADWAY_HOME"
        ) from error
    lock = environ.get(VERSION_LOCK_VARIABLE)
    return ModelStore(
        home.absolute() / "models",
        version_lock=Path(lock) if lock else None,
    )


class ModelStore:
    """Models in a directory; safe for any number of processes at once.

    Reading never writes, so that a read-only directory can be served.

    Args:
        root: The directory; created by the first save.
        version_lock: Folder of the server's locked versions, in its processes.
    """

    def __init__(self, root: Path, *, version_lock: Path | None = None) -> None:
        self.root = root
        self._version_lock = version_lock
        self._staging = Staging(root)

    # Reading

    def directory(self, tag: Tag) -> Path:
        """Return the directory of a tag with a version."""
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
        requested = Tag.parse(tag)
        if requested.version is not None and self.directory(requested).is_dir():
            return requested
        if self._version_lock is None:
            return self._find(requested)
        find = functools.partial(self._find, requested)
        return locked_version(self._version_lock, requested, find)

    def get(self, tag: str | Tag) -> ModelRecord:
        """Return the record of a model; its files are verified when they are loaded.

        Raises:
            StoreError: As for `resolve`, or if its `model.yaml` is missing or damaged.
        """
        found = self.resolve(tag)
        path = self.directory(found) / RECORD_FILE
        try:
            content = path.read_bytes()
        except OSError as error:
            if not path.parent.exists():
                raise self._not_found(found) from error
            raise CorruptModelError(
                f"model {found}: cannot read {path}: {error.strerror}; {_ADVICE}"
            ) from error
        record = ModelRecord.decode(content, where=str(path))
        if record.tag != found:
            raise CorruptModelError(f"{path} is the record of {record.tag}; {_ADVICE}")
        return record

    def records(self, name: str | None = None) -> list[ModelRecord]:
        """Return the readable models by name, the newest of each name first.

        Corrupt models are logged and left out, so that they do not hide the others.

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
            CorruptModelError: If one is missing, unreadable, not listed or differs.
        """
        what = f"model {record.tag}"
        for name in names or record.files:
            path = self.directory(record.tag) / name
            check_file_name(name, where=what)
            if name not in record.files:
                raise CorruptModelError(
                    f"{what} has no file {name!r} ({path.parent}); {_ADVICE}"
                )
            try:
                found = sum_file(path)
            except OSError as error:
                raise CorruptModelError(
                    f"{what}: cannot read {path}: {error.strerror}; {_ADVICE}"
                ) from error
            if found != record.files[name]:
                raise CorruptModelError(
                    f"{what} is corrupt: the SHA-256 of {path} differs from the one in "
                    f"{RECORD_FILE}; {_ADVICE}"
                )

    # Writing

    def assign(self, tag: str | Tag) -> Tag:
        """Return the tag to save a model under, with a new version if it has none."""
        wanted = Tag.parse(tag)
        return wanted if wanted.version is not None else Tag(wanted.name, _version())

    @contextlib.contextmanager
    def create(self, record: ModelRecord) -> Iterator[Path]:
        """Give a directory to write files to; publish it when the block succeeds.

        Args:
            record: The model. If it lists files, as an archive's record does, exactly
                those must be written, and a newer model stays `latest`.

        Raises:
            ModelExistsError: If the version exists already.
            CorruptModelError: If the files written are not those listed.
            ConfigError: If labels, options or metadata contain what YAML cannot hold.
            StoreError: If the store cannot be written.
        """
        self._refuse_existing(record.tag)
        encoded = record.encode()  # fails before a long save, not after it
        with contextlib.ExitStack() as stack:
            with self._translated("write to"):
                draft = stack.enter_context(self._staging.draft())
            yield draft
            with self._translated("write to"):
                sums = sum_tree(draft)
                if record.files and sums != record.files:
                    wrong = min(dict(sums.items() ^ record.files.items()))
                    raise CorruptModelError(
                        f"model {record.tag}: the file {wrong!r} is not as listed in "
                        f"{RECORD_FILE}; export the model again"
                    )
                if sums != record.files:
                    encoded = msgspec.structs.replace(record, files=sums).encode()
                (draft / RECORD_FILE).write_bytes(encoded)
                self._staging.sync(draft)
                with self._staging.exclusive():
                    self._publish(record, draft)

    def delete(self, tag: str | Tag) -> Tag:
        """Remove a model and return its tag; the newest one left becomes `latest`.

        Raises:
            StoreError: As for `resolve`, or if the store cannot be written.
        """
        found = self.resolve(tag)
        parent = self.root / found.name
        with self._translated("delete from"), self._staging.exclusive():
            if not self.directory(found).exists():
                raise self._not_found(found)
            self._staging.discard(self.directory(found))
            newest = self._newest(found.name)
            if newest is None:
                (parent / _LATEST_FILE).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # other files are in there
                    parent.rmdir()
            elif self._latest(found.name) is None:
                self._staging.write_file(parent / _LATEST_FILE, newest.version)
        return found

    def export_model(self, tag: str | Tag, target: Path) -> Path:
        """Write a model to a file or into a directory; see `headway.models`."""
        record = self.get(tag)
        self.verify(record)
        return archive.write_archive(record, self.directory(record.tag), target)

    def import_model(self, path: Path) -> ModelRecord:
        """Add the model of an exported file; see `headway.models`."""
        record = archive.read_record(path)
        with self.create(record) as draft:
            archive.extract(path, record, draft)
        return record

    # Details

    def _newest(self, name: str) -> ModelRecord | None:
        return max(self._readable(name), key=lambda r: r.creation_time, default=None)

    def _latest(self, name: str) -> Tag | None:
        """Return the tag in the file `latest`, if that model exists."""
        try:
            written = (self.root / name / _LATEST_FILE).read_text("utf-8").strip()
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

    def _find(self, requested: Tag) -> Tag:
        if requested.version is None:
            # A process killed just before it wrote `latest` left a newer model behind.
            newest = self._latest(requested.name) or self._newest(requested.name)
            versions = [] if newest is None else [str(newest.version)]
        else:
            prefix = requested.version
            every = self.versions(requested.name)
            versions = [version for version in every if version.startswith(prefix)]
        if not versions:
            raise self._not_found(requested)
        if len(versions) > 1:
            raise AmbiguousTagError(
                f"model tag {requested} matches several versions, {_some(versions)}; "
                "write more characters of the version"
            )
        return Tag(requested.name, versions[0])

    def _not_found(self, requested: Tag) -> ModelNotFoundError:
        versions = self.versions(requested.name)
        near = difflib.get_close_matches(requested.name, self.names(), n=1)
        if requested.version is not None and versions:
            hint = f"{requested.name} has {_some(versions)}"
        elif near and near[0] != requested.name:
            hint = f"did you mean {near[0]!r}?"
        else:
            hint = "save it with `headway.<framework>.save_model(...)`"
        return ModelNotFoundError(
            f"no model {requested} in {self.root}: {hint} "
            "(`headway models list` shows all)"
        )

    def _publish(self, record: ModelRecord, draft: Path) -> None:
        """Make a complete draft visible; call it inside `exclusive`."""
        self._refuse_existing(record.tag)
        target = self.directory(record.tag)
        target.parent.mkdir(exist_ok=True)
        draft.rename(target)
        # A save becomes `latest` even if the clock went back; an import only if newer.
        newest = self._newest(record.name) if record.files else None
        if newest is None or newest.version == record.version:
            self._staging.write_file(target.parent / _LATEST_FILE, target.name)
        sync_path(target.parent)
        sync_path(self.root)

    def _refuse_existing(self, tag: Tag) -> None:
        if self.directory(tag).exists():
            raise ModelExistsError(
                f"model {tag} is already in {self.root}; save it under another "
                f"version, or delete it first with `headway models delete {tag}`"
            )

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot {action} the model store {self.root}: {error}; check the disk "
                "and its permissions, or set HEADWAY_HOME to another directory"
            ) from error


def _version() -> str:
    """Return 80 bits of a uuid1 in 16 characters, the fastest-changing bits first.

    The time is first, so that a short prefix identifies a version. Bits that differ
    between processes and machines follow, for saves within the same 100 ns.
    """
    made = uuid.uuid1()
    low_time_first = made.bytes[:4] + made.bytes[4:6] + made.bytes[8:10]
    machine_and_age = bytes([made.bytes[15], made.bytes[7]])
    return base64.b32encode(low_time_first + machine_and_age).decode("ascii").lower()


def _some(versions: list[str]) -> str:
    return ", ".join(versions[:4]) + (", ..." if len(versions) > 4 else "")


def _directories(parent: Path) -> Iterator[str]:
    """Yield the sub-directories whose names are valid as a model's name or version."""
    try:
        paths = list(parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        try:
            part = Tag(path.name).name
        except InvalidTagError:
            continue  # not the store's, such as `.saving` or `lost+found`
        if path.is_dir():
            yield part
