"""The folder of one server's run, with the sockets and metrics of its processes.

The supervisor, or the only process, creates and removes it.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

_PREFIX = "headway-"


class RunDir:
    """The names of a run's files.

    Socket names are short, as the path of a Unix socket holds at most 107 bytes.

    Args:
        path: The folder.
    """

    def __init__(self, *, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics"
        """Folder of the metrics files."""
        self.history = path / "history"
        """The live page's data: a record of each second."""
        self.version_lock = path / "version_lock"
        """Folder in which all processes lock the version of `name:latest`."""
        self.load_table = path / "load"
        """The load of each API worker, for all of them to read."""

    @classmethod
    def create(cls) -> Self:
        """Make the folder, readable by this user only; remove those of dead servers."""
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

    def api_worker_sockets(self, workers: int) -> list[str]:
        """Return the sockets at which API workers take connections of each other."""
        return [str(self.path / f"a{index}") for index in range(workers)]

    def metrics_file(self, process: str) -> Path:
        """Return the metrics file of a process."""
        return self.metrics / f"{process}.bin"

    def runner_socket(self, index: int) -> str:
        """Return the socket of a runner."""
        return str(self.path / f"r{index}")

    def replica_sockets(self, index: int, replicas: int) -> list[str]:
        """Return the sockets of replicas; none if the runner itself has the model."""
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
        return  # not ours: no process can have this number
