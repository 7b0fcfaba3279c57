"""Export and import: round trips, damaged and unsafe archives."""

import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import CorruptModelError, ModelExistsError, StoreError
from headway.models.record import ModelRecord, Tag
from headway.models.store import ModelStore

FILES = st.dictionaries(
    st.from_regex(r"[a-z]{1,4}(/[a-z0-9 ._-]{0,4}[a-z])?", fullmatch=True),
    st.binary(max_size=64),
    max_size=4,
).filter(lambda files: not any(a.startswith(b + "/") for a in files for b in files))


def make(root: Path, files: dict[str, bytes], version: str = "1") -> ModelStore:
    store = ModelStore(root / "from")
    record = ModelRecord(name="m", version=version, metadata={"note": "kept"})
    with store.create(record) as draft:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return store


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Return a store with a model of one file, `w`."""
    return make(tmp_path, {"w": b"x"})


@pytest.fixture
def archive_path(store: ModelStore, tmp_path: Path) -> Path:
    return store.export_model("m", tmp_path)


@settings(deadline=None, max_examples=25)
@given(FILES)
def test_export_and_import_round_trip(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("archive")
    source = make(root, files)
    path = source.export_model("m", root)
    assert path == root / "m-1.hwmodel"
    target = ModelStore(root / "to")
    record = target.import_model(path)
    assert record == source.get("m") == target.get("m:latest")
    target.verify(record)
    for name, content in files.items():
        assert (target.directory(record.tag) / name).read_bytes() == content
    assert sorted(p.name for p in root.iterdir()) == ["from", "m-1.hwmodel", "to"]


def test_export_adds_the_suffix_and_import_refuses_existing_versions(
    store: ModelStore,
    tmp_path: Path,
) -> None:
    path = store.export_model("m", tmp_path / "mine")
    assert path == tmp_path / "mine.hwmodel"
    assert store.export_model("m", path) == path
    with pytest.raises(ModelExistsError, match="m:1 is already in"):
        store.import_model(path)


def test_import_of_an_older_model_does_not_become_latest(tmp_path: Path) -> None:
    path = make(tmp_path, {"w": b"x"}, version="old").export_model("m", tmp_path)
    target = ModelStore(tmp_path / "to")
    with target.create(ModelRecord(name="m", version="new")):
        pass
    target.import_model(path)
    assert target.resolve("m") == Tag("m", "new")
    target.delete("m")
    assert target.resolve("m") == Tag("m", "old")


def test_export_refuses_a_corrupt_model(store: ModelStore, tmp_path: Path) -> None:
    (store.directory(Tag("m", "1")) / "w").write_bytes(b"y")
    with pytest.raises(CorruptModelError, match="w differs"):
        store.export_model("m", tmp_path)
    assert not list(tmp_path.glob("*.hwmodel"))


def test_export_to_a_missing_folder_is_a_store_error(
    store: ModelStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*gone.*No such file"):
        store.export_model("m", tmp_path / "gone" / "m.hwmodel")


def rewrite(path: Path, change: dict[str, bytes | None], **extra: int) -> None:
    """Write the archive again with entries replaced, added or (None) removed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for name, content in change.items():
        entries.pop(name, None)
        if content is not None:
            entries[name] = content
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            if name in change:
                entry.external_attr = extra.get("mode", 0) << 16
            archive.writestr(entry, content)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../outside", id="parent"),
        pytest.param("/tmp/outside", id="absolute"),
        pytest.param("a/../../outside", id="parent inside"),
        pytest.param("..\\outside", id="backslash"),
        pytest.param("./outside", id="dot"),
        pytest.param("folder/", id="folder"),
        pytest.param("surplus", id="not listed"),
    ],
)
def test_import_refuses_unsafe_or_unlisted_entries(
    tmp_path: Path, archive_path: Path, name: str
) -> None:
    rewrite(archive_path, {name: b"evil"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorruptModelError, match=r"m-1\.hwmodel"):
        ModelStore(tmp_path / "to").import_model(archive_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_import_refuses_unsafe_names_in_the_record(
    tmp_path: Path, archive_path: Path
) -> None:
    with zipfile.ZipFile(archive_path) as archive:
        record = archive.read("model.yaml")
    rewrite(
        archive_path,
        {"model.yaml": record.replace(b"  w:", b"  ../w:"), "w": None, "../w": b"x"},
    )
    with pytest.raises(CorruptModelError, match="outside the model's directory"):
        ModelStore(tmp_path / "to").import_model(archive_path)


def test_import_refuses_links(tmp_path: Path, archive_path: Path) -> None:
    rewrite(archive_path, {"w": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(CorruptModelError, match="'w' is not a plain file"):
        ModelStore(tmp_path / "to").import_model(archive_path)


def test_import_refuses_duplicate_entries(tmp_path: Path, archive_path: Path) -> None:
    with (
        zipfile.ZipFile(archive_path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("w", b"x")
    with pytest.raises(CorruptModelError, match="not the ones listed"):
        ModelStore(tmp_path / "to").import_model(archive_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"w": b"y"}, "the file 'w' is not as listed", id="content"),
        pytest.param({"w": None}, "not the ones listed", id="missing"),
        pytest.param({"model.yaml": None}, "not an exported model", id="no record"),
        pytest.param({"model.yaml": b"- 1"}, "not a model's record", id="bad record"),
    ],
)
def test_import_refuses_changed_archives(
    tmp_path: Path, archive_path: Path, change: dict[str, bytes | None], reason: str
) -> None:
    rewrite(archive_path, change)
    target = ModelStore(tmp_path / "to")
    with pytest.raises(CorruptModelError, match=reason):
        target.import_model(archive_path)
    assert target.records() == []


def test_import_refuses_files_that_are_not_archives(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "to")
    (tmp_path / "text").write_text("text")
    with pytest.raises(CorruptModelError, match="not an exported model"):
        store.import_model(tmp_path / "text")
    with pytest.raises(StoreError, match=r"cannot read .*gone: No such file"):
        store.import_model(tmp_path / "gone")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("exported")
    store = make(root, {"w": b"weights" * 9})
    return store.export_model("m", root).read_bytes()


@settings(deadline=None, max_examples=25)
@given(position=st.integers(0, 1 << 16), change=st.integers(0, 255))
def test_import_of_damaged_bytes_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    exported: bytes,
    position: int,
    change: int,
) -> None:
    """Some bytes of a zip are ignored; an accepted import must equal the model."""
    root = tmp_path_factory.mktemp("damage")
    content = bytearray(exported)
    position %= len(content)
    if change:
        content[position] ^= change
    else:
        del content[position:]
    path = root / "m.hwmodel"
    path.write_bytes(content)
    target = ModelStore(root / "to")
    try:
        record = target.import_model(path)
    except StoreError:
        assert target.records() == []
        return
    target.verify(target.get(record.tag))
    assert (target.directory(record.tag) / "w").read_bytes() == b"weights" * 9
