"""The folder of one server's run: sockets between its processes, slots of its metrics.

The supervisor makes and removes it; every process finds its files in it.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

__all__ = ["RunDir"]

_PREFIX = "headway-"


class RunDir:
    """Names the files of a run.

    Socket names are short, as the path of a Unix socket holds 107 bytes at the most.

    Args:
        path: Of the folder.
    """

    def __init__(self, *, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls) -> Self:
        """Make the folder, readable by this user only; sweep those of dead servers."""
        base = Path(tempfile.gettempdir())
        for stale in base.glob(f"{_PREFIX}*"):
            _remove_if_stale(stale)
        path = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base)
        made = cls(path=Path(path))
        made.metrics.mkdir()
        return made

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def metrics(self) -> Path:
        """Folder of the metrics' slots."""
        return self.path / "metrics"

    @property
    def history(self) -> Path:
        """What the live page shows: a record of each second."""
        return self.path / "history"

    @property
    def version_lock(self) -> Path:
        """Directory in which all processes lock the version of `name:latest`."""
        return self.path / "version_lock"

    @property
    def load_board(self) -> Path:
        """What each API worker has to do, for all of them to see."""
        return self.path / "load"

    def neighbour_sockets(self, workers: int) -> list[str]:
        """Return where each API worker takes connections from the others."""
        return [str(self.path / f"n{index}") for index in range(workers)]

    def metrics_slot(self, process: str) -> Path:
        """Return the slot of a process."""
        return self.metrics / f"{process}.bin"

    def runner_socket(self, index: int) -> str:
        """Return where a runner listens."""
        return str(self.path / f"r{index}")

    def replica_sockets(self, index: int, replicas: int) -> list[str]:
        """Return where a runner's replicas listen; none if it has its own model."""
        if replicas < 2:
            return []
        return [f"{self.runner_socket(index)}-{i}" for i in range(replicas)]


def _remove_if_stale(path: Path) -> None:
    """Remove the folder of a server of this user that no longer runs."""
    pid = path.name.removeprefix(_PREFIX).partition("-")[0]
    try:
        if not pid.isdigit() or path.stat().st_uid != os.getuid():
            return
        os.kill(int(pid), 0)
    except ProcessLookupError:
        shutil.rmtree(path, ignore_errors=True)
    except (OSError, ValueError, OverflowError):
        return  # somebody else's: a number that no process has
