"""The version lock: all processes of a server use the same version as "latest"."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headway.errors import ModelNotFoundError
from headway.models.files import locked_version
from headway.models.record import ModelRecord, Tag
from headway.models.store import VERSION_LOCK_VARIABLE, ModelStore, open_store


def save(store: ModelStore, version: str) -> None:
    with store.create(ModelRecord(name="m", version=version)):
        pass


def test_latest_stays_locked_after_a_new_save(tmp_path: Path) -> None:
    environ = {
        "HEADWAY_HOME": str(tmp_path),
        VERSION_LOCK_VARIABLE: str(tmp_path / "lock"),
    }
    save(open_store(environ), "aa1")
    assert open_store(environ).resolve("m:latest").version == "aa1"
    assert open_store(environ).resolve("m:a").version == "aa1"
    save(open_store(environ), "aa2")
    assert open_store(environ).resolve("m").version == "aa1"
    assert open_store(environ).resolve("m:a").version == "aa1"
    assert open_store(environ).resolve("m:aa2").version == "aa2"
    assert open_store({"HEADWAY_HOME": str(tmp_path)}).resolve("m").version == "aa2"


def test_missing_model_is_not_locked(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", version_lock=tmp_path / "lock")
    with pytest.raises(ModelNotFoundError):
        store.resolve("m")
    save(store, "1")
    assert store.resolve("m").version == "1"


def test_concurrent_processes_lock_one_version(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda n: locked_version(lock, Tag("m"), lambda: Tag("m", f"v{n}")),
            range(64),
        )
        assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "lock").iterdir()] == ["m:latest"]
