"""Where models are written before they are published, and what keeps savers apart.

store calls it. A draft's directory is locked by whoever writes it; the kernel drops the
lock when that process dies, however it dies, so that the next saver may sweep it.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Staging"]

_LOCK = ".lock"


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
        """Keep every other saver of the store out, for the moment of a rename."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def draft(self) -> Iterator[Path]:
        """Give an empty directory; what is still there at the end is removed."""
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

    def discard(self, path: Path) -> None:
        """Remove a directory of the store so that nobody ever sees half of it.

        The caller holds `exclusive`.
        """
        trash = self._unused("trash")
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def write_file(self, target: Path, content: str) -> None:
        """Replace a file of the store in one step; the caller holds `exclusive`."""
        path = self._unused("file")
        with path.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.replace(target)

    def _unused(self, kind: str) -> Path:
        return self.path / f"{kind}-{secrets.token_hex(8)}"

    def _sweep(self) -> None:
        """Remove what dead savers left; the caller holds `exclusive`."""
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
    except FileNotFoundError:  # its saver has just removed it
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
