"""The files of a model: their sums, their names, getting them onto the disk.

store calls it when it publishes and verifies; archive when it reads names.
"""

import hashlib
import os
from pathlib import Path, PurePosixPath

from headway.errors import CorruptModelError, StoreError
from headway.models.store.record import RECORD_FILE, ModelRecord

__all__ = [
    "check_file_name",
    "sum_file",
    "sum_tree",
    "sync_path",
    "sync_tree",
    "verify",
]


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
            f"{where} names the file {name!r}, which could lie outside the model's "
            "directory; do not use this file"
        )


def sum_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sum_tree(directory: Path) -> dict[str, str]:
    """Return the sums of all files below a directory by relative path.

    Raises:
        StoreError: If there is something that is neither a plain file nor a directory.
    """
    sums = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(
                f"{name!r} is a link or a special file; a model consists of plain "
                "files: copy what it points to"
            )
        if path.is_file():
            check_file_name(name, where="the model")
            sums[name] = sum_file(path)
    if RECORD_FILE in sums:
        raise StoreError(f"{RECORD_FILE!r} is the store's own; use another name")
    return sums


def sync_path(path: Path) -> None:
    """Write a file's content, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Write all files and directories below a directory to the disk."""
    for parent, _, names in os.walk(directory):
        for name in (*names, "."):
            sync_path(Path(parent, name))


def verify(record: ModelRecord, directory: Path, *names: str) -> None:
    """Compare files with their sums; all files if none is named.

    Raises:
        CorruptModelError: If one is missing, unreadable, unlisted or differs.
    """
    for name in names or record.files:
        path = directory / name
        advice = "save or import the model again"
        check_file_name(name, where=f"model {record.tag}")
        if name not in record.files:
            raise CorruptModelError(
                f"model {record.tag} has no file {name!r} ({directory}); {advice}"
            )
        try:
            found = sum_file(path)
        except OSError as error:
            raise CorruptModelError(
                f"model {record.tag}: cannot read {path}: {error.strerror}; {advice}"
            ) from error
        if found != record.files[name]:
            raise CorruptModelError(
                f"model {record.tag} is corrupt: the SHA-256 of {path} is not what "
                f"{RECORD_FILE} says; {advice}"
            )
