"""Pickled objects: what is missing or broken is named."""

import sys
from pathlib import Path

import cloudpickle
import pytest

from headway.errors import MissingExtraError, StoreError
from headway.models.store import pickling


class Breaks:
    """Pickles well and fails when it is loaded, as after a change of version."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (int, ("not a number",))


def test_what_was_dumped_is_loaded(tmp_path: Path) -> None:
    pickling.dump({"add": lambda x: x + 1}, tmp_path / "x", what="it")
    assert pickling.load(tmp_path / "x", what="it")["add"](1) == 2


def test_an_object_that_fails_to_load_says_why(tmp_path: Path) -> None:
    pickling.dump(Breaks(), tmp_path / "x", what="it")
    with pytest.raises(StoreError, match="it cannot be loaded: ValueError: invalid"):
        pickling.load(tmp_path / "x", what="it")


def test_without_cloudpickle_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(MissingExtraError, match=r"headway\[picklable\]"):
        pickling.dump(1, tmp_path / "x", what="it")


def test_modules_are_sent_by_value_only_for_that_save(tmp_path: Path) -> None:
    module = sys.modules[__name__]
    before = set(cloudpickle.list_registry_pickle_by_value())
    pickling.dump(Breaks, tmp_path / "x", what="it", external_modules=[module])
    assert b"not a number" in (tmp_path / "x").read_bytes()
    assert set(cloudpickle.list_registry_pickle_by_value()) == before
    cloudpickle.register_pickle_by_value(module)
    try:
        pickling.dump(Breaks, tmp_path / "x", what="it", external_modules=[module])
        assert module.__name__ in cloudpickle.list_registry_pickle_by_value()
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_an_error_of_the_disk_stays_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pickling.dump(1, tmp_path / "gone" / "x", what="it")
