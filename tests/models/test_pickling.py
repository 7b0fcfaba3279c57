"""Pickling of models, samples and custom objects."""

import sys
from pathlib import Path

import cloudpickle
import pytest

import headway
from headway.core.method_spec import MethodSpec
from headway.errors import MissingExtraError, StoreError
from headway.models import pickling
from headway.models.record import ModelRecord


class Breaks:
    """Can be pickled but not loaded, as after a change of version."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (int, ("not a number",))


def test_pickled_object_is_loaded(tmp_path: Path) -> None:
    pickling.dump({"add": lambda x: x + 1}, tmp_path / "x", what="it")
    assert pickling.load(tmp_path / "x", what="it")["add"](1) == 2


def test_load_error_gives_the_reason(tmp_path: Path) -> None:
    pickling.dump(Breaks(), tmp_path / "x", what="it")
    with pytest.raises(StoreError, match="it cannot be loaded: ValueError: invalid"):
        pickling.load(tmp_path / "x", what="it")


def test_missing_cloudpickle_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(MissingExtraError, match=r"headway\[picklable\]"):
        pickling.dump(1, tmp_path / "x", what="it")


def test_external_modules_are_by_value_for_one_save_only(tmp_path: Path) -> None:
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


def test_disk_errors_are_not_translated(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pickling.dump(1, tmp_path / "gone" / "x", what="it")


@pytest.mark.parametrize(
    ("module", "public"),
    [
        ("headway.asgi", "asgi_app"),
        ("headway.context", "Context"),
        ("headway.model", "Model"),
        ("headway.runnable", "Runnable"),
        ("headway.runner_handle", "Runner"),
        ("headway.service_app", "Service"),
        ("headway.store.tag", "Tag"),
    ],
)
def test_public_names_are_found_by_their_former_modules(
    module: str, public: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(f"c{module}\n{public}\n.".encode())
    assert pickling.load(tmp_path / "x", what="it") is getattr(headway, public)


def test_records_and_methods_are_found_by_their_former_modules(tmp_path: Path) -> None:
    for module, kind in (
        ("headway.signature", MethodSpec),
        ("headway.store.record", ModelRecord),
    ):
        (tmp_path / "x").write_bytes(f"c{module}\n{kind.__name__}\n.".encode())
        assert pickling.load(tmp_path / "x", what="it") is kind
