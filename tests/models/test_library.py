"""headway.models: models of all frameworks and in the user's own format."""

from pathlib import Path

import pytest

import headway
from headway.errors import ConfigError, ModelNotFoundError
from headway.models.record import Tag


def save(tag: str) -> headway.Model:
    return headway.picklable_model.save_model(tag, len)


def test_models_are_listed_fetched_and_deleted(home: Path) -> None:
    assert headway.models.list() == []
    first, second, other = save("m:1"), save("m:2"), save("n")
    assert headway.models.list() == [second, first, other]
    assert headway.models.list("m") == [second, first]
    assert headway.models.get("m") == second
    assert first.path == home / "models" / "m" / "1"
    assert repr(first).startswith("Model(tag='m:1', path='")
    assert headway.models.delete("m:latest") == Tag("m", "2")
    assert headway.models.list("m") == [first]
    assert len({first, second, headway.models.get("m")}) == 2
    assert first != "m:1"


def test_model_is_exported_and_imported_into_another_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("m:1")
    path = headway.models.export_model("m", tmp_path)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "second"))
    model = headway.models.import_model(path)
    assert headway.models.list() == [model]
    runner = model.to_runner()
    runner.init_local()
    assert runner.run("four") == 4


def test_model_in_the_users_own_format(home: Path) -> None:
    with headway.models.create(
        "own",
        module="my.module",
        labels={"a": 1},  # type: ignore[dict-item]  # numbers become text
        options={"dims": (1, 2)},
        custom_objects={"x": 1},
        metadata={"note": "n"},
        signatures={"run": {"batchable": True}},
    ) as draft:
        draft.path_of("weights.txt").write_text("w")
        assert headway.models.list() == []
        assert str(draft.tag) in repr(draft)
    model = headway.models.get("own")
    assert model.tag == draft.tag
    assert model.path_of("weights.txt").read_text() == "w"
    assert model.info.labels == {"a": "1"}
    assert model.info.options == {"dims": [1, 2]}
    assert model.info.signatures["run"].batchable
    assert model.custom_objects == {"x": 1}
    with pytest.raises(ConfigError, match=r"headway\.Runner\("):
        model.to_runner()
    with pytest.raises(ModelNotFoundError, match=r"but by my\.module"):
        headway.sklearn.get("own")


def test_invalid_labels_metadata_and_objects_are_refused() -> None:
    for wrong, message in (
        ({"labels": {"a": [1]}}, "the label 'a' is a list"),
        ({"labels": "a"}, "labels: give a dict"),
        ({"metadata": {1: 2}}, "metadata: give a dict whose keys are text"),
        ({"metadata": {"x": object()}}, "must be plain values"),
        ({"custom_objects": [1]}, "custom_objects: give a dict"),
    ):
        with pytest.raises(ConfigError, match=message):
            headway.picklable_model.save_model("m", len, **wrong)
    assert headway.models.list() == []
