"""The files of models on disk: names, SHA-256 sums, and drafts that are being written.

store calls it to save, verify, delete and lock versions; archive to check names. The
process that writes a draft locks its directory. The kernel drops the lock when that
process dies, so that the next process that saves can remove what it left.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from headway.errors import CorruptModelError, StoreError
from headway.models.record import RECORD_FILE, Tag

_LOCK = ".lock"


def check_file_name(name: str, *, where: str) -> None:
    """Refuse a name that could leave the model's directory.

    Raises:
        CorruptModelError: If it is absolute, climbs, or is not in its shortest form.
    """
    path = PurePosixPath(name)
    if (
        not name
        or path.is_absolute()
        or ".." in path.parts
        or str(path) != name
        or name == "."
        or any(character in name for character in "\\\0")
    ):
        raise CorruptModelError(
            f"{where} names the file {name!r}, which could be outside the model's "
            "directory; do not use this file"
        )


def sum_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sum_tree(directory: Path) -> dict[str, str]:
    """Return the sums of all files below a directory by relative path.

    Raises:
        StoreError: If anything in it is neither a plain file nor a directory.
    """
    sums = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(
                f"{name!r} is a link or a special file; a model consists of plain "
                "files: copy the file it points to"
            )
        if path.is_file():
            check_file_name(name, where="the model")
            sums[name] = sum_file(path)
    if RECORD_FILE in sums:
        raise StoreError(f"{RECORD_FILE!r} is reserved for the store; rename the file")
    return sums


def sync_path(path: Path) -> None:
    """Flush a file's content, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def locked_version(folder: Path, requested: Tag, find: Callable[[], Tag]) -> Tag:
    """Return the version of a tag that all processes of one server use.

    The first process that resolves a tag decides its version for all. Otherwise a
    runner restarted after a new save would load another version than the API workers
    use.

    Args:
        folder: Shared by the server's processes; created when needed.
        requested: The tag as the user wrote it.
        find: Returns the tag with the version to use from now on, if none is locked.
    """
    path = folder / f"{requested.name}:{requested.version or 'latest'}"
    try:
        return Tag(requested.name, path.read_text("utf-8"))
    except FileNotFoundError:
        found = find()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    draft.write_text(found.version or "", "utf-8")
    try:
        path.hardlink_to(draft)  # unlike a rename, fails if another was first
    except FileExistsError:
        return Tag(requested.name, path.read_text("utf-8"))
    finally:
        draft.unlink()
    return found


class Staging:
    """The directory `.saving` of a store, on the same filesystem as its models.

    Args:
        root: The store's directory.
    """

    def __init__(self, root: Path) -> None:
        # No model can have this name: names begin with a letter or digit.
        self.path = root / ".saving"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the store against other processes, for the moment of a rename."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def draft(self) -> Iterator[Path]:
        """Create an empty directory; it is removed at the end unless it was moved."""
        with self.exclusive():
            self._sweep()
            path = self._unused("draft")
            path.mkdir()
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)

    def sync(self, draft: Path) -> None:
        """Flush all files and directories of a draft to the disk."""
        for parent, _, names in os.walk(draft):
            for name in (*names, "."):
                sync_path(Path(parent, name))

    def discard(self, path: Path) -> None:
        """Remove a directory of the store in one step; call it inside `exclusive`."""
        trash = self._unused("trash")
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def write_file(self, target: Path, content: str) -> None:
        """Replace a file of the store in one step; call it inside `exclusive`."""
        path = self._unused("file")
        with path.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.replace(target)

    def _unused(self, kind: str) -> Path:
        return self.path / f"{kind}-{secrets.token_hex(8)}"

    def _sweep(self) -> None:
        """Remove what dead processes left; call it inside `exclusive`."""
        for path in self.path.iterdir():
            if path.name == _LOCK:
                continue
            if not path.is_dir() or path.is_symlink():
                path.unlink()
            elif _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # its process has just removed it
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
