"""Pins: all processes of a server mean the same version by "latest"."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headway.errors import ModelNotFoundError
from headway.models.store.home import open_store
from headway.models.store.record import ModelRecord
from headway.models.store.store import ModelStore
from headway.models.store.tag import Tag
from headway.models.store.version_lock import PINS_VARIABLE, Pins


def save(store: ModelStore, version: str) -> None:
    with store.create(ModelRecord(name="m", version=version)):
        pass


def test_latest_stays_what_the_server_first_asked_for(tmp_path: Path) -> None:
    environ = {"HEADWAY_HOME": str(tmp_path), PINS_VARIABLE: str(tmp_path / "pins")}
    save(open_store(environ), "aa1")
    assert open_store(environ).resolve("m:latest").version == "aa1"
    assert open_store(environ).resolve("m:a").version == "aa1"
    save(open_store(environ), "aa2")
    assert open_store(environ).resolve("m").version == "aa1"
    assert open_store(environ).resolve("m:a").version == "aa1"
    assert open_store(environ).resolve("m:aa2").version == "aa2"
    assert open_store({"HEADWAY_HOME": str(tmp_path)}).resolve("m").version == "aa2"


def test_a_missing_model_is_not_pinned(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", pins=Pins(tmp_path / "pins"))
    with pytest.raises(ModelNotFoundError):
        store.resolve("m")
    save(store, "1")
    assert store.resolve("m").version == "1"


def test_those_who_ask_at_once_settle_on_one(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins")
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda n: pins.resolve(Tag("m"), lambda: Tag("m", f"v{n}")), range(64)
        )
        assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "pins").iterdir()] == ["m:latest"]
