"""Tags and `model.yaml`: round trips, malformed and damaged content."""

import datetime
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import ConfigError, CorruptModelError, InvalidTagError
from headway.models.record import ModelRecord, SignatureRecord, Tag

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc: #'\"\n"), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text("abc-: \n0"), PLAIN))
def test_record_round_trips(metadata: dict[str, Any]) -> None:
    record = ModelRecord(
        name="m",
        version="v1",
        metadata=metadata,
        labels={"stage": "yes", "n": "1"},
        signatures={"predict": SignatureRecord(batchable=True, batch_dim=(1, 0))},
        files={"a/b.ubj": "0" * 64},
    )
    assert ModelRecord.decode(record.encode(), where="here") == record


def test_numpy_metadata_becomes_plain_values() -> None:
    metadata = {"auc": np.float64(0.5), "n": np.int32(3), "fpr": np.array([0.0, 1.0])}
    record = ModelRecord(name="m", version="v", metadata=metadata)
    read = ModelRecord.decode(record.encode(), where="here")
    assert read.metadata == {"auc": 0.5, "n": 3, "fpr": [0.0, 1.0]}


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"x": object()}, id="object"),
        pytest.param({"x": lambda: None}, id="function"),
        pytest.param({"x": "\ud800"}, id="surrogate"),
    ],
)
def test_unsupported_metadata_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"model m:v: labels and metadata must be"):
        ModelRecord(name="m", version="v", metadata=metadata).encode()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_corrupt_record(content: bytes) -> None:
    with pytest.raises(CorruptModelError, match="here"):
        ModelRecord.decode(content, where="here")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("name: ../../etc", id="name"),
        pytest.param("version: ..", id="version"),
        pytest.param("creation_time: 2024-13-45", id="no date"),
        pytest.param("creation_time: 2024-01-01 00:00:00", id="no time zone"),
        pytest.param("files: [a]", id="files"),
        pytest.param("signatures: {predict: {batch_dim: 0}}", id="signature"),
    ],
)
def test_invalid_field_is_a_corrupt_record(line: str) -> None:
    good = {
        "name": "name: m",
        "version": "version: v",
        "creation_time": f"creation_time: {datetime.datetime.now(datetime.UTC)}",
    }
    ModelRecord.decode("\n".join(good.values()).encode(), where="here")
    good[line.partition(":")[0]] = line
    with pytest.raises(CorruptModelError, match="here"):
        ModelRecord.decode("\n".join(good.values()).encode(), where="here")


ENDS = string.ascii_lowercase + string.digits
INNER = ENDS + "-._"


@st.composite
def parts(draw: st.DrawFn) -> str:
    ends = draw(st.text(ENDS, min_size=1, max_size=2))
    inner = draw(st.text(INNER, max_size=61)) if len(ends) == 2 else ""
    return ends[0] + inner + ends[1:]


@given(parts(), parts().filter(lambda version: version != "latest"))
def test_printed_tag_parses_to_the_same_tag(name: str, version: str) -> None:
    tag = Tag(name, version)
    assert Tag.parse(str(tag)) == tag
    assert Tag.parse(str(tag).upper()) == tag
    assert Tag.parse(name) == Tag.parse(f"{name}:latest") == Tag(name)
    assert Tag.parse(tag) is tag


@given(st.text(max_size=80))
def test_random_text_is_a_valid_tag_or_refused(text: str) -> None:
    try:
        tag = Tag.parse(text)
    except InvalidTagError:
        return
    for part in (tag.name, tag.version or "a"):
        assert 0 < len(part) <= 63
        assert set(part) <= set(INNER)
        assert {part[0], part[-1]} <= set(ENDS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("m:", id="empty version"),
        pytest.param(":v", id="empty name"),
        pytest.param("m:v:w", id="two colons"),
        pytest.param("..", id="parent"),
        pytest.param("../m", id="path"),
        pytest.param("m:../v", id="path in the version"),
        pytest.param("m/n", id="slash"),
        pytest.param("-m", id="dash first"),
        pytest.param("m.", id="dot last"),
        pytest.param("a b", id="space"),
        pytest.param("m\n", id="newline"),
        pytest.param("modèle", id="accent"),
        pytest.param("a" * 64, id="long name"),
        pytest.param("m:" + "a" * 64, id="long version"),
    ],
)
def test_malformed_tags_are_refused(text: str) -> None:
    with pytest.raises(InvalidTagError, match="a-z, 0-9"):
        Tag.parse(text)


def test_tag_must_be_text() -> None:
    with pytest.raises(InvalidTagError, match="7 is not a string"):
        Tag.parse(7)  # type: ignore[arg-type]  # the user's mistake


def test_version_cannot_be_named_latest() -> None:
    with pytest.raises(InvalidTagError, match="latest"):
        Tag("m", "latest")
