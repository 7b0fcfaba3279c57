"""Signatures: mistakes are found when the model is saved."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import ConfigError
from headway.models.draft import check_methods, read_signatures
from headway.models.record import SignatureRecord


@given(
    st.booleans(),
    st.one_of(
        st.integers(0, 5), st.tuples(st.integers(0, 5), st.integers(0, 5)).map(list)
    ),
)
def test_valid_signatures_are_read(batchable: bool, batch_dim: Any) -> None:
    given_signature = {"batchable": batchable, "batch_dim": batch_dim}
    records, samples = read_signatures({"predict": given_signature}, what="model m")
    pair = (batch_dim, batch_dim) if isinstance(batch_dim, int) else tuple(batch_dim)
    assert records == {"predict": SignatureRecord(batchable, pair)}
    assert samples == {}


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        pytest.param(
            {"predict": {"batchabel": True}}, "did you mean 'batchable'", id="typo"
        ),
        pytest.param({"predict": {"zzz": True}}, "unknown key 'zzz'", id="key"),
        pytest.param({"predict": {"batchable": 1}}, "batchable is 1", id="batchable"),
        pytest.param({"predict": {"batch_dim": -1}}, "batch_dim is -1", id="axis"),
        pytest.param({"predict": {"batch_dim": "0"}}, "batch_dim is '0'", id="text"),
        pytest.param({"predict": {"batch_dim": [0]}}, "batch_dim is", id="one axis"),
        pytest.param({"predict": True}, "give a dict", id="no dict"),
        pytest.param(["predict"], "give a dict", id="list"),
        pytest.param({1: {}}, "keys are text", id="number"),
        pytest.param({"a-b": {}}, "a method of that name", id="no identifier"),
        pytest.param({"__init__": {}}, "a method of that name", id="constructor"),
        pytest.param({"warmup_samples": {}}, "method of that name", id="runnable's"),
        pytest.param({"init_local": {}}, "method of that name", id="runner's"),
        pytest.param({"name": {}}, "method of that name", id="runner's attribute"),
    ],
)
def test_invalid_signatures_are_refused(signatures: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_signatures(signatures, what="model m")
    assert str(caught.value).startswith("model m")


@pytest.mark.parametrize(
    ("sample", "axis"),
    [
        pytest.param(np.ones((1, 4)), 0, id="array"),
        pytest.param(np.ones((4, 1)), 1, id="second axis"),
        pytest.param([[1.0, 2.0]], 0, id="list"),
        pytest.param(scipy.sparse.csr_matrix((1, 4)), 0, id="sparse"),
        pytest.param((np.ones((1, 4)), np.ones((1, 2))), 0, id="two arguments"),
    ],
)
def test_sample_of_one_row_is_kept(sample: Any, axis: int) -> None:
    given_signature = {"batchable": True, "batch_dim": axis, "sample": sample}
    _, samples = read_signatures({"f": given_signature}, what="model m")
    assert samples["f"] == (sample if isinstance(sample, tuple) else (sample,))


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        pytest.param(np.ones((10, 4)), "10 rows", id="ten rows"),
        pytest.param(np.ones(4), "4 rows", id="no row axis"),
        pytest.param(np.float64(1.0), "no rows", id="scalar"),
        pytest.param([], "0 rows", id="empty"),
        pytest.param("text", "no rows", id="text"),
        pytest.param((np.ones((1, 4)), np.ones((2, 4))), "2 rows", id="second"),
    ],
)
def test_batchable_sample_must_be_one_row(sample: Any, found: str) -> None:
    given_signature = {"batchable": True, "sample": sample}
    with pytest.raises(ConfigError, match=rf"sample has {found} along axis 0"):
        read_signatures({"f": given_signature}, what="model m")
    _, samples = read_signatures({"f": {"sample": sample}}, what="model m")
    assert set(samples) == {"f"}


def test_similar_method_names_are_suggested() -> None:
    with pytest.raises(ConfigError, match=r"str has no method 'uper'.*upper"):
        check_methods("text", {"uper": {}}, what="model m")
    check_methods("text", {"upper": {}, "encode": {}}, what="model m")
