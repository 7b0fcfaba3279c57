"""The folder of a run: its files, and its removal once the server is dead."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from headway.core.run_dir import RunDir


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead_pid() -> int:
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_names_of_the_files(folder: Path) -> None:
    run = RunDir.create()
    assert run.path.parent == folder
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert run.metrics.is_dir()
    assert run.metrics_file("api-0") == run.metrics / "api-0.bin"
    assert run.version_lock.parent == run.path
    sockets = {run.runner_socket(0), run.runner_socket(1)}
    sockets |= {*run.replica_sockets(0, 12), *run.replica_sockets(1, 12)}
    assert len(sockets) == 26
    assert all(Path(socket).parent == run.path for socket in sockets)
    assert run.replica_sockets(0, 1) == []
    run.remove()
    assert not run.path.exists()
    run.remove()


def test_each_run_has_a_folder(folder: Path) -> None:
    assert RunDir.create().path != RunDir.create().path
    assert len(list(folder.iterdir())) == 2


def test_folders_of_dead_servers_are_removed(folder: Path, dead_pid: int) -> None:
    stale = folder / f"headway-{dead_pid}-abc"
    (stale / "metrics").mkdir(parents=True)
    (stale / "metrics" / "api-0.bin").write_bytes(b"x")
    (stale / "r0").touch()
    RunDir.create()
    assert not stale.exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"headway-{os.getpid()}-abc", id="own"),
        "headway-1-abc",
        "headway-notes",
        "headway-",
        "headway-²-abc",
        f"headway-{10**40}-abc",
        f"headway-{2**63}-abc",
        "other-1-abc",
    ],
)
def test_other_folders_stay(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    RunDir.create()
    assert (folder / name).is_dir()


def test_folders_of_other_users_stay(
    folder: Path, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = folder / f"headway-{dead_pid}-abc"
    stale.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    RunDir.create()
    assert stale.is_dir()


def test_link_is_not_followed(folder: Path, dead_pid: int) -> None:
    precious = folder / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (folder / f"headway-{dead_pid}-abc").symlink_to(precious)
    RunDir.create()
    assert (precious / "file").exists()
