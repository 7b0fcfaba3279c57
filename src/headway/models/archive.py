"""A model as one file, `.hwmodel`: a zip of `model.yaml` and the model's files.

store calls it to export and import. Files are written under checked names, so that no
entry of an archive can write outside the model's directory.
"""

import contextlib
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from headway.errors import CorruptModelError, StoreError
from headway.models.files import check_file_name
from headway.models.record import RECORD_FILE, ModelRecord

_SUFFIX = ".hwmodel"
_MAX_RECORD_BYTES = 16 << 20


def write_archive(record: ModelRecord, directory: Path, target: Path) -> Path:
    """Write a model to an archive, which appears only when complete; return its path.

    Args:
        record: The model.
        directory: The directory of its files.
        target: File to write, or an existing directory to write `NAME-VERSION` in.

    Raises:
        StoreError: If the file cannot be written.
    """
    if target.is_dir():
        target = target / f"{record.name}-{record.version}"
    if target.suffix != _SUFFIX:
        target = target.with_name(target.name + _SUFFIX)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # Level 1: higher levels are slower and compress model files hardly better.
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
            f"{path} is damaged or not an exported model: {error}; export it again"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def read_record(path: Path) -> ModelRecord:
    """Check the entries of an archive and return its record.

    Raises:
        CorruptModelError: If it is damaged or not an exported model, or if an entry is
            a link, has an unsafe name, occurs twice or is not in the record.
        StoreError: If it cannot be opened.
    """
    with _opened(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            check_file_name(entry.filename, where=str(path))
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                raise CorruptModelError(
                    f"{path}: {entry.filename!r} is not a plain file; do not use it"
                )
        names = [entry.filename for entry in entries]
        if RECORD_FILE not in names:
            raise CorruptModelError(
                f"{path} has no {RECORD_FILE}: not an exported model"
            )
        if archive.getinfo(RECORD_FILE).file_size > _MAX_RECORD_BYTES:
            raise CorruptModelError(f"{path}: {RECORD_FILE} is too large")
        record = ModelRecord.decode(
            archive.read(RECORD_FILE), where=f"{RECORD_FILE} in {path}"
        )
    if sorted(names) != sorted([RECORD_FILE, *record.files]):
        odd = sorted({*names} ^ {RECORD_FILE, *record.files}) or sorted(names)
        raise CorruptModelError(
            f"{path}: its files are not the ones listed in {RECORD_FILE} ({odd[0]!r}); "
            "export it again"
        )
    return record


def extract(path: Path, record: ModelRecord, directory: Path) -> None:
    """Write the files of an archive that `read_record` has checked to a directory.

    Raises:
        CorruptModelError: If the archive is damaged.
        StoreError: If a file cannot be read or written.
    """
    with _opened(path) as archive:
        for name in record.files:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": never write through a file or link of an earlier entry.
            with archive.open(name) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
