"""The store: save, resolve, verify and delete models."""

import datetime
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import (
    AmbiguousTagError,
    ConfigError,
    CorruptModelError,
    ModelExistsError,
    ModelNotFoundError,
    StoreError,
)
from headway.models.record import ModelRecord, Tag
from headway.models.store import ModelStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models")


def save(
    store: ModelStore, tag: str, content: str = "weights", age_days: int = 0
) -> Tag:
    found = store.assign(tag)
    created = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age_days)
    record = ModelRecord(
        name=found.name, version=str(found.version), creation_time=created
    )
    with store.create(record) as draft:
        (draft / "weights.bin").write_text(content)
        (draft / "more").mkdir()
        (draft / "more" / "notes.txt").write_text("notes")
    return found


def write_with(store: ModelStore, action: Callable[[Path], object]) -> None:
    with store.create(ModelRecord(name="m", version="1")) as draft:
        (draft / "weights.bin").write_text("half")
        action(draft)


def debris(store: ModelStore) -> list[str]:
    found = [path.name for path in (store.root / ".saving").iterdir()]
    return sorted(set(found) - {".lock"})


def test_saved_model_has_its_files_and_sums(store: ModelStore) -> None:
    tag = save(store, "iris")
    record = store.get("iris:latest")
    assert record.tag == tag
    assert sorted(record.files) == ["more/notes.txt", "weights.bin"]
    assert (store.directory(tag) / "more" / "notes.txt").read_text() == "notes"
    store.verify(record)
    assert debris(store) == []


def test_generated_versions_are_unique_base32(
    store: ModelStore,
) -> None:
    versions = [str(store.assign("m").version) for _ in range(2000)]
    assert len(set(versions)) == len(versions)
    assert {len(version) for version in versions} == {16}
    assert set("".join(versions)) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_last_save_is_latest_regardless_of_version_and_clock(
    store: ModelStore,
) -> None:
    save(store, "m:zz")
    save(store, "m:aa", age_days=3)
    for asked in ("m", "m:latest", "M:LATEST", Tag("m")):
        assert store.resolve(asked) == Tag("m", "aa")
    assert [record.version for record in store.records()] == ["zz", "aa"]


def test_version_prefix_resolves_if_unambiguous(store: ModelStore) -> None:
    for version in ("abc1", "abd2", "ab"):
        save(store, f"m:{version}")
    assert store.resolve("m:abc").version == "abc1"
    assert store.resolve("m:ab").version == "ab"
    with pytest.raises(AmbiguousTagError, match=r"m:a matches several.*abc1"):
        store.resolve("m:a")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        pytest.param("iri", "did you mean 'iris'", id="near"),
        pytest.param("iris:9", "iris has v1", id="version"),
        pytest.param("zebra", "save it with", id="far"),
    ],
)
def test_missing_model_error_has_a_hint(
    store: ModelStore, asked: str, hint: str
) -> None:
    save(store, "iris:v1")
    with pytest.raises(ModelNotFoundError, match=f"no model {asked} in .*{hint}"):
        store.get(asked)


def test_empty_store_has_no_models(store: ModelStore) -> None:
    assert store.records() == []
    with pytest.raises(ModelNotFoundError, match="no model m"):
        store.get("m")
    assert not store.root.exists()


def test_existing_version_is_never_replaced(store: ModelStore) -> None:
    save(store, "m:1", "first")
    with pytest.raises(ModelExistsError, match="m:1 is already in"):
        save(store, "m:1", "second")
    assert (store.directory(Tag("m", "1")) / "weights.bin").read_text() == "first"
    assert debris(store) == []


def test_failed_save_leaves_nothing(store: ModelStore) -> None:
    # Errors of the user's code are not translated.
    with pytest.raises(FileNotFoundError, match="gone"):
        write_with(store, lambda draft: (draft / "gone").read_text())
    assert store.records() == []
    assert debris(store) == []
    assert not (store.root / "m").exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "weights.bin"])
def test_links_are_refused(store: ModelStore, target: str) -> None:
    with pytest.raises(StoreError, match="'link' is a link"):
        write_with(store, lambda draft: (draft / "link").symlink_to(target))
    assert store.records() == []


def test_record_file_name_is_reserved(store: ModelStore) -> None:
    with pytest.raises(StoreError, match=r"'model\.yaml' is reserved for the store"):
        write_with(store, lambda draft: (draft / "model.yaml").write_text("mine"))


def test_invalid_metadata_fails_before_files_are_written(
    store: ModelStore,
) -> None:
    record = ModelRecord(name="m", version="1", metadata={"x": object()})
    with pytest.raises(ConfigError), store.create(record):
        pytest.fail("the block ran")


def damage_content(path: Path) -> None:
    path.write_text("weightz")


def remove(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damage_content, remove, make_directory])
def test_damaged_file_is_named(store: ModelStore, damage: object) -> None:
    tag = save(store, "m")
    record = store.get(tag)
    assert callable(damage)
    damage(store.directory(tag) / "weights.bin")
    with pytest.raises(CorruptModelError, match=r"weights\.bin") as caught:
        store.verify(record)
    assert str(tag) in str(caught.value)
    store.verify(record, "more/notes.txt")


def test_unlisted_file_cannot_be_verified(store: ModelStore) -> None:
    record = store.get(save(store, "m"))
    with pytest.raises(CorruptModelError, match="no file 'other'"):
        store.verify(record, "other")
    with pytest.raises(CorruptModelError, match=r"outside the model's"):
        store.verify(record, "../../x")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda p: p.unlink(), id="missing"),
        pytest.param(lambda p: p.write_bytes(b"\xff{"), id="garbage"),
        pytest.param(
            lambda p: p.write_text(p.read_text().replace("name: m", "name: n")),
            id="another model's",
        ),
    ],
)
def test_damaged_record_is_named_and_hides_no_other_model(
    store: ModelStore, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = save(store, "m"), save(store, "m")
    assert callable(damage)
    damage(store.directory(bad) / "model.yaml")
    with pytest.raises(CorruptModelError, match=r"model\.yaml"):
        store.get(bad)
    assert [record.tag for record in store.records()] == [good]
    assert "model.yaml" in caplog.text
    assert store.delete(bad) == bad
    assert store.resolve("m") == good


@pytest.mark.parametrize(
    "written", [None, b"", b"gone", b"../x", b"\xff\xfe", b"latest"]
)
def test_newest_model_is_latest_without_a_valid_latest_file(
    store: ModelStore, written: bytes | None
) -> None:
    newest = save(store, "m:zz")
    save(store, "m:aa", age_days=1)
    path = store.root / "m" / "latest"
    path.unlink()
    if written is not None:
        path.write_bytes(written)
    assert store.resolve("m") == newest


def test_delete_moves_latest_to_the_newest_one_left(store: ModelStore) -> None:
    for version, age in (("a", 2), ("b", 1), ("c", 3)):
        save(store, f"m:{version}", age_days=age)
    assert store.delete("m:latest") == Tag("m", "c")
    assert store.resolve("m") == Tag("m", "b")
    store.delete("m:b")
    store.delete("m")
    assert not (store.root / "m").exists()
    assert store.records() == []
    with pytest.raises(ModelNotFoundError):
        store.delete("m:a")
    assert debris(store) == []


def test_foreign_files_in_the_store_are_left_alone(store: ModelStore) -> None:
    save(store, "m:1")
    (store.root / "lost+found").mkdir()
    (store.root / "m" / "mine.txt").write_text("mine")
    assert store.names() == ["m"]
    assert store.versions("m") == ["1"]
    store.delete("m:1")
    assert (store.root / "m" / "mine.txt").read_text() == "mine"
    assert store.records() == []


def test_unwritable_store_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ModelStore(tmp_path / "file" / "models")
    with pytest.raises(StoreError, match=r"cannot write to the model store.*file"):
        save(store, "m")


def test_store_is_in_headway_home_or_the_home_directory(tmp_path: Path) -> None:
    assert open_store({"HEADWAY_HOME": str(tmp_path)}).root == tmp_path / "models"
    assert open_store({}).root == Path("~/.headway/models").expanduser()
    assert open_store({"HEADWAY_HOME": "here"}).root == Path.cwd() / "here/models"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("sd"), st.integers(0, 3)), max_size=12))
def test_latest_stays_right_through_random_saves_and_deletes(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[str, int]]
) -> None:
    store = ModelStore(tmp_path_factory.mktemp("store"))
    alive: list[str] = []  # in the order of saving, which is that of creation times
    for action, number in steps:
        version = f"v{number}"
        if action == "s" and version not in alive:
            save(store, f"m:{version}")
            alive.append(version)
        elif action == "d" and version in alive:
            store.delete(f"m:{version}")
            alive.remove(version)
        assert store.versions("m") == sorted(alive)
        if alive:
            assert store.get("m").version == alive[-1]
            assert (store.root / "m" / "latest").read_text() == alive[-1]
        else:
            assert os.listdir(store.root) in ([], [".saving"])
