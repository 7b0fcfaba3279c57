"""A model as one file, `.hwmodel`: a zip of `model.yaml` and the model's files.

store calls it to export and import. Contents are read, never extracted by the archive's
own paths, so that no entry can reach outside the model's directory.
"""

import contextlib
import os
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from headway.errors import CorruptModelError, StoreError
from headway.models.store.content import check_file_name
from headway.models.store.record import RECORD_FILE, ModelRecord

__all__ = ["SUFFIX", "extract", "read_record", "write_archive"]

SUFFIX = ".hwmodel"
_MAX_RECORD_BYTES = 16 << 20


def write_archive(record: ModelRecord, directory: Path, target: Path) -> Path:
    """Write a model's files to an archive that appears only when it is complete.

    Args:
        record: The model.
        directory: Where its files are.
        target: File to write, or an existing directory to write `NAME-VERSION` in.

    Returns:
        The file written.
    """
    if target.is_dir():
        target = target / f"{record.name}-{record.version}"
    if target.suffix != SUFFIX:
        target = target.with_name(target.name + SUFFIX)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # Level 1: model files compress little more at the higher, slower levels.
        with zipfile.ZipFile(draft, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for name in (RECORD_FILE, *record.files):
                out.write(directory / name, name)
        draft.replace(target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise CorruptModelError(
            f"{path} is damaged or no exported model: {error}; export it again"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def read_record(path: Path) -> ModelRecord:
    """Return the record in an archive, once its entries are known to be safe.

    Raises:
        CorruptModelError: If it is damaged, no such archive, or an entry is a link,
            has an unsafe name, is there twice or is not in the record.
        StoreError: If it cannot be opened.
    """
    with _opened(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            check_file_name(entry.filename, where=str(path))
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                raise CorruptModelError(
                    f"{path}: {entry.filename!r} is no plain file; do not use it"
                )
        names = [entry.filename for entry in entries]
        if RECORD_FILE not in names:
            raise CorruptModelError(f"{path} has no {RECORD_FILE}: no exported model")
        if archive.getinfo(RECORD_FILE).file_size > _MAX_RECORD_BYTES:
            raise CorruptModelError(f"{path}: {RECORD_FILE} is too large")
        record = ModelRecord.decode(
            archive.read(RECORD_FILE), where=f"{RECORD_FILE} in {path}"
        )
    if sorted(names) != sorted([RECORD_FILE, *record.files]):
        odd = sorted({*names} ^ {RECORD_FILE, *record.files}) or sorted(names)
        raise CorruptModelError(
            f"{path}: its files are not those that {RECORD_FILE} lists ({odd[0]!r}); "
            "export it again"
        )
    return record


def extract(path: Path, record: ModelRecord, directory: Path) -> None:
    """Write the files of an archive, which `read_record` has checked, to a directory.

    Raises:
        CorruptModelError: If the archive is damaged.
        StoreError: If a file cannot be read or written.
    """
    with _opened(path) as archive:
        for name in record.files:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # O_EXCL: not through something that an earlier entry made.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with (
                archive.open(name) as source,
                os.fdopen(os.open(target, flags, 0o666), "wb") as file,
            ):
                shutil.copyfileobj(source, file, 1 << 20)
