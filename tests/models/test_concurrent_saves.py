"""Processes that save at the same time or die while saving."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import ModelNotFoundError
from headway.models.record import ModelRecord
from headway.models.store import ModelStore

STOPPING_SAVER = """
import sys, time, headway

class Stops:
    def __reduce__(self):
        print("writing", flush=True)
        sys.stdin.read()
        return (str, ())

headway.picklable_model.save_model(
    "slow", {"large": b"x" * 300_000, "then": Stops()}, signatures={}
)
"""
PUBLISHING_SAVER = """
import sys
from headway.models.store import open_store
from headway.models.record import ModelRecord
from headway.models.files import Staging

def stop(self, target, content):
    print("published, latest not yet written", flush=True)
    sys.stdin.read()

Staging.write_file = stop  # no kill can be timed to hit between two system calls
with open_store().create(ModelRecord(name="slow", version="v1")) as draft:
    (draft / "weights").write_text("all of it")
"""
SAVERS = """
import sys, headway
number = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
for turn in range(6):
    headway.picklable_model.save_model(
        "shared", [number, turn], signatures={}, metadata={"by": number}
    )
"""


def start(code: str, home: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start a process that saves, and return when it has printed a line."""
    saver = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HEADWAY_HOME": str(home)},
    )
    assert saver.stdout is not None
    assert saver.stdout.readline()
    return saver


def kill(saver: subprocess.Popen[bytes]) -> None:
    saver.send_signal(signal.SIGKILL)
    saver.communicate()


def save(store: ModelStore, version: str) -> None:
    with store.create(ModelRecord(name="slow", version=version)) as draft:
        (draft / "weights").write_text("w")


def drafts(store: ModelStore) -> list[Path]:
    return sorted((store.root / ".saving").glob("draft-*"))


def test_killed_save_is_invisible_and_removed_by_the_next_save(
    tmp_path: Path,
) -> None:
    store = ModelStore(tmp_path / "models")
    saver = start(STOPPING_SAVER, tmp_path)
    (draft,) = drafts(store)
    assert list(draft.iterdir()), "the process should be in the middle of a file"
    kill(saver)
    assert store.records() == []
    assert store.names() == []
    with pytest.raises(ModelNotFoundError):
        store.get("slow")
    assert drafts(store) == [draft]
    save(store, "next")
    assert drafts(store) == []
    assert store.get("slow").version == "next"


def test_running_save_survives_another_save(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    saver = start(STOPPING_SAVER, tmp_path)
    before = drafts(store)
    save(store, "other")
    assert drafts(store) == before
    saver.communicate()  # it continues at the end of its input
    assert saver.returncode == 0
    assert len(store.versions("slow")) == 2
    store.verify(store.get("slow"))
    assert store.get("slow").version != "other"
    assert drafts(store) == []


def test_save_killed_before_writing_latest_is_complete(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    kill(start(PUBLISHING_SAVER, tmp_path))
    assert not (store.root / "slow" / "latest").exists()
    record = store.get("slow:latest")
    assert record.version == "v1"
    store.verify(record)
    save(store, "v2")  # the lock died with its holder
    assert store.get("slow").version == "v2"


def test_concurrent_saves_all_succeed_and_latest_is_valid(tmp_path: Path) -> None:
    savers = [start(SAVERS, tmp_path, str(number)) for number in range(3)]
    for saver in savers:
        assert saver.stdin is not None
        saver.stdin.close()
    store = ModelStore(tmp_path / "models")
    for saver in savers:
        assert saver.stdout is not None
        assert saver.stdout.read() == b""
        assert saver.wait() == 0
        saver.stdout.close()
    records = store.records("shared")
    assert len(records) == 18
    for record in records:
        store.verify(record)
    assert sorted(record.metadata["by"] for record in records) == (
        [0] * 6 + [1] * 6 + [2] * 6
    )
    latest = (store.root / "shared" / "latest").read_text()
    assert latest in [record.version for record in records]
    assert store.get("shared").version == latest
    assert drafts(store) == []


def test_one_of_two_concurrent_saves_of_a_version_succeeds(tmp_path: Path) -> None:
    code = SAVERS.replace('"shared"', '"shared:pinned"').replace("range(6)", "[0]")
    savers = [start(code, tmp_path, str(number)) for number in range(2)]
    for saver in savers:
        assert saver.stdin is not None
        saver.stdin.close()
    statuses = [saver.wait() for saver in savers]
    for saver in savers:
        assert saver.stdout is not None
        saver.stdout.close()
    assert sorted(statuses) == [0, 1]
    store = ModelStore(tmp_path / "models")
    record = store.get("shared:pinned")
    store.verify(record)
    assert record.metadata["by"] == statuses.index(0)


def test_next_save_removes_every_kind_of_leftover(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    save(store, "v1")
    saving = store.root / ".saving"
    (saving / "trash-1").mkdir()
    (saving / "trash-1" / "weights").write_text("w")
    (saving / "file-1").write_text("v1")
    (saving / "link").symlink_to(tmp_path)
    save(store, "v2")
    assert [path.name for path in saving.iterdir()] == [".lock"]
    assert tmp_path.exists()
