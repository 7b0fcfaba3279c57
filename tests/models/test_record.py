"""`model.yaml`: round trips and damaged content."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import ConfigError, CorruptModelError
from headway.models.record import ModelRecord, SignatureRecord

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
