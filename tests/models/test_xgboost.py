"""headway.xgboost with real boosters: the same results as with a DMatrix."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import headway
from headway.errors import ConfigError, CorruptModelError, StoreError
from headway.models.frameworks.xgboost import BoosterPredict
from tests.models.conftest import Rows

NAMES = ["age=young", "amount", "job", "records"]
PARAMETERS: dict[str, dict[str, Any]] = {
    "tree": {"objective": "binary:logistic", "max_depth": 3},
    "dart": {"booster": "dart", "rate_drop": 0.5},
    "linear": {"booster": "gblinear"},
    "classes": {"objective": "multi:softprob", "num_class": 3},
}


def train(kind: str, rows: Rows, classes: Any, **options: Any) -> xgboost.Booster:
    parameters = {"nthread": 1, "seed": 1, **PARAMETERS[kind]}
    target = classes if kind == "classes" else classes > 0
    matrix = xgboost.DMatrix(rows, target, **options)
    return xgboost.train(parameters, matrix, num_boost_round=8)


@pytest.fixture(params=[None, NAMES], ids=["unnamed", "named"])
def names(request: pytest.FixtureRequest) -> list[str] | None:
    given_names: list[str] | None = request.param
    return given_names


def serve(booster: Any, **signatures: Any) -> Any:
    """Save a model and return the runner's own copy of it."""
    given_signatures = signatures or {"predict": {"batchable": True}}
    model = headway.xgboost.save_model("m", booster, signatures=given_signatures)
    return model.to_runner().load()


@pytest.mark.parametrize("kind", PARAMETERS)
def test_runner_predicts_the_same_as_the_booster(
    kind: str, names: list[str] | None, rows: Rows, classes: Any
) -> None:
    booster = train(kind, rows, classes, feature_names=names)
    expected = booster.predict(xgboost.DMatrix(rows, feature_names=names))
    runnable = serve(booster)
    holes = np.where(rows > 0, rows, 0)
    sparse = booster.predict(
        xgboost.DMatrix(scipy.sparse.csr_matrix(holes), feature_names=names)
    )
    for data in (rows, np.asfortranarray(rows), rows[::-1][::-1], rows.tolist()):
        np.testing.assert_array_equal(runnable.predict(data), expected)
    frame = pd.DataFrame(rows, columns=NAMES)
    np.testing.assert_array_equal(runnable.predict(frame), expected)
    for form in ("csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "coo_array"):
        made = getattr(scipy.sparse, form)(holes)
        np.testing.assert_array_equal(runnable.predict(made), sparse)


def test_booster_with_feature_names_matches_columns_by_name(
    rows: Rows, classes: Any
) -> None:
    booster = train("tree", rows, classes, feature_names=NAMES)
    frame = pd.DataFrame(rows, columns=NAMES)
    runnable = serve(booster)
    shuffled = frame[["records", "job", "amount", "age=young"]]
    np.testing.assert_array_equal(runnable.predict(shuffled), runnable.predict(rows))
    with pytest.raises(ValueError, match="feature_names mismatch"):
        runnable.predict(frame.rename(columns={"job": "work"}))


def test_predict_options_are_passed_on(rows: Rows, classes: Any) -> None:
    booster = train("tree", rows, classes, feature_names=NAMES)
    matrix = xgboost.DMatrix(rows, feature_names=NAMES)
    np.testing.assert_array_equal(
        serve(booster).predict(rows, output_margin=True),
        booster.predict(matrix, output_margin=True),
    )


@settings(deadline=None, max_examples=60)
@given(
    data=arrays.arrays(
        st.sampled_from(
            [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_]
        ),
        st.tuples(st.integers(1, 5), st.just(4)),
    ),
)
def test_random_numbers_predict_the_same_as_a_matrix(data: Any) -> None:
    """Includes NaN; infinite values, which a matrix refuses, count as large."""
    predicted = PREDICT(data)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = data.astype(np.float32)
    narrow = np.clip(narrow, -1e30, 1e30)  # leaves NaN as it is
    np.testing.assert_array_equal(predicted, BOOSTER.predict(xgboost.DMatrix(narrow)))


def _make_booster() -> xgboost.Booster:
    made = np.random.default_rng(3).normal(size=(80, 4))
    return train("tree", made, (made[:, 0] > 0).astype(int))


BOOSTER = _make_booster()
PREDICT = BoosterPredict(BOOSTER)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.ones((2, 3)), id="too narrow"),
        pytest.param(np.ones((2, 5)), id="too wide"),
        pytest.param(np.ones(4), id="one axis"),
        pytest.param(np.array([["a", "b", "c", "d"]]), id="text"),
    ],
)
def test_invalid_rows_raise_and_later_rows_succeed(data: Any) -> None:
    with pytest.raises((ValueError, xgboost.core.XGBoostError)):
        PREDICT(data)
    assert PREDICT(np.zeros((1, 4))).shape == (1,)


def test_estimator_keeps_parameters_missing_from_its_file(
    rows: Rows, classes: Any
) -> None:
    frame = pd.DataFrame(rows, columns=NAMES)
    estimator = xgboost.XGBClassifier(n_estimators=5, missing=-1.0, n_jobs=1)
    estimator.fit(frame.where(frame > 0, -1.0), classes)
    given_rows = frame.where(frame > 0, -1.0)
    runnable = serve(estimator, predict={"batchable": True}, predict_proba={})
    np.testing.assert_array_equal(
        runnable.predict(given_rows), estimator.predict(given_rows)
    )
    np.testing.assert_array_equal(
        runnable.predict_proba(given_rows.to_numpy()),
        estimator.predict_proba(given_rows),
    )
    loaded = headway.xgboost.load_model("m")
    assert type(loaded) is xgboost.XGBClassifier
    assert loaded.missing == -1.0


def test_early_stopped_regressor_uses_its_best_trees(rows: Rows) -> None:
    noise = np.random.default_rng(1).normal(size=len(rows))
    estimator = xgboost.XGBRegressor(n_estimators=50, early_stopping_rounds=2, n_jobs=1)
    estimator.fit(rows[:80], noise[:80], eval_set=[(rows[80:], noise[80:])], verbose=0)
    assert estimator.best_iteration < 40
    np.testing.assert_array_equal(
        serve(estimator).predict(rows), estimator.predict(rows)
    )


def test_model_is_saved_in_xgboosts_own_format(rows: Rows, classes: Any) -> None:
    booster = train("tree", rows, classes)
    model = headway.xgboost.save_model("m", booster)
    assert sorted(model.info.files) == ["saved_model.ubj"]
    again = xgboost.Booster(model_file=model.path_of("saved_model.ubj"))
    assert again.num_boosted_rounds() == 8


def test_thread_count_comes_from_omp_num_threads(
    rows: Rows, classes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    headway.xgboost.save_model("m", train("tree", rows, classes))
    for text, wanted in (("3", "3"), ("2,1", "2"), ("no", "0"), ("", "0")):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        config = headway.xgboost.load_model("m").save_config()
        assert f'"nthread":"{wanted}"' in config, text


def test_damaged_model_is_refused(rows: Rows, classes: Any) -> None:
    model = headway.xgboost.save_model("m", train("tree", rows, classes))
    (model.path / "saved_model.ubj").write_bytes(b"{")
    with pytest.raises(CorruptModelError, match=r"saved_model\.ubj differs"):
        model.to_runner().load()


def test_model_of_an_unsupported_xgboost_version_is_refused() -> None:
    with headway.models.create(
        "m", module="headway.xgboost", options={"class": "Booster"}
    ) as draft:
        draft.path_of("saved_model.ubj").write_bytes(b"from the future")
    with pytest.raises(StoreError, match=f"loaded by xgboost {xgboost.__version__}"):
        headway.xgboost.load_model("m")
    with headway.models.create(
        "n", module="headway.xgboost", options={"class": "XGBOracle"}
    ):
        pass
    with pytest.raises(StoreError, match=r"is an xgboost\.XGBOracle, which"):
        headway.xgboost.load_model("n")


def test_booster_has_no_predict_proba(rows: Rows, classes: Any) -> None:
    with pytest.raises(ConfigError, match="Booster has no method 'predict_proba'"):
        serve(train("tree", rows, classes), predict_proba={})


class OwnClassifier(xgboost.XGBClassifier):
    """A user's own subclass, which xgboost's format would forget."""


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(OwnClassifier(), id="subclass"),
        pytest.param(xgboost.XGBClassifier, id="class"),
        pytest.param(object(), id="object"),
    ],
)
def test_only_xgboosts_own_classes_are_accepted(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"saves a Booster, .* not "):
        headway.xgboost.save_model("m", model)


def test_unfitted_estimator_is_refused() -> None:
    with pytest.raises(ConfigError, match="XGBRegressor is not fitted"):
        headway.xgboost.save_model("m", xgboost.XGBRegressor())


@pytest.mark.parametrize("kind", PARAMETERS)
def test_warm_up_row_has_the_boosters_width(
    kind: str, names: list[str] | None, rows: Rows, classes: Any
) -> None:
    runnable = serve(train(kind, rows, classes, feature_names=names))
    (row,) = runnable.warmup_samples()["predict"]
    assert row.shape == (1, 4)
    assert len(runnable.predict(row)) == 1
