"""headway.sklearn with real estimators."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import headway
from headway.core.method_spec import MethodSpec
from headway.errors import (
    ConfigError,
    CorruptModelError,
    InvalidTagError,
    MissingExtraError,
    ModelNotFoundError,
    StoreError,
)
from tests.models.conftest import Rows

BATCHABLE = {"predict": {"batchable": True, "batch_dim": 0}}


@pytest.fixture(scope="module")
def forest(rows: Rows, classes: Any) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=5, random_state=1).fit(rows, classes)


def test_loaded_model_and_runner_predict_the_same(
    forest: RandomForestClassifier, rows: Rows
) -> None:
    saved = headway.sklearn.save_model(
        "Iris",
        forest,
        signatures={**BATCHABLE, "predict_proba": {"batch_dim": (0, 1)}},
        labels={"stage": "test"},
        metadata={"auc": np.float64(0.75)},
    )
    model = headway.sklearn.get("iris:latest")
    assert model == saved
    assert model.tag.name == "iris"
    assert model.info.labels == {"stage": "test"}
    assert model.info.metadata == {"auc": 0.75}
    assert model.info.module == "headway.sklearn"
    assert "scikit-learn" in model.info.context.framework_versions
    runner = model.to_runner()
    assert runner.name == "iris"
    assert runner.models == [model]
    specs = {name: method.spec for name, method in runner.methods.items()}
    assert specs == {
        "predict": MethodSpec("predict", batchable=True),
        "predict_proba": MethodSpec("predict_proba", batch_dim=(0, 1)),
    }
    runner.init_local()
    loaded = headway.sklearn.load_model(model)
    for predict in (loaded.predict, runner.predict.run):
        np.testing.assert_array_equal(predict(rows), forest.predict(rows))
    np.testing.assert_array_equal(
        runner.predict_proba.run(rows), forest.predict_proba(rows)
    )


def test_default_signature_is_predict(forest: RandomForestClassifier) -> None:
    runner = headway.sklearn.save_model("m", forest).to_runner()
    assert [method.spec for method in runner.methods.values()] == [
        MethodSpec("predict", batchable=False)
    ]


def test_custom_objects_are_saved_with_the_model(
    forest: RandomForestClassifier,
) -> None:
    vectorizer = DictVectorizer(sparse=False).fit([{"a": 1, "b": "x"}])
    headway.sklearn.save_model(
        "m", forest, custom_objects={"dv": vectorizer, "double": lambda x: 2 * x}
    )
    objects = headway.sklearn.get("m").custom_objects
    np.testing.assert_array_equal(objects["dv"].transform({"a": 3}), [[3, 0]])
    assert objects["double"](4) == 8


def test_custom_objects_default_to_empty(
    forest: RandomForestClassifier,
) -> None:
    assert headway.sklearn.save_model("m", forest).custom_objects == {}


def test_custom_objects_are_loaded_once(forest: RandomForestClassifier) -> None:
    model = headway.sklearn.save_model("m", forest, custom_objects={"x": [1]})
    assert model.custom_objects is model.custom_objects


@pytest.mark.parametrize("name", ["saved_model.pkl", "custom_objects.pkl"])
def test_damaged_file_is_refused_before_unpickling(
    forest: RandomForestClassifier, name: str
) -> None:
    model = headway.sklearn.save_model("m", forest, custom_objects={"x": 1})
    content = bytearray((model.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model.path / name).write_bytes(content)

    def use() -> object:
        again = headway.sklearn.get("m")
        if name == "custom_objects.pkl":
            return again.custom_objects
        return again.to_runner().load()

    with pytest.raises(CorruptModelError, match=rf"{name} differs"):
        use()


def test_runner_keeps_its_version_after_a_new_save(
    forest: RandomForestClassifier, rows: Rows
) -> None:
    runner = headway.sklearn.save_model("m", forest).to_runner()
    scaler = StandardScaler().fit(rows)
    headway.sklearn.save_model("m", scaler, signatures={"transform": {}})
    runner.init_local()
    np.testing.assert_array_equal(runner.predict.run(rows), forest.predict(rows))


def test_signature_of_a_missing_method_is_refused() -> None:
    scaler = StandardScaler().fit([[1.0], [2.0]])
    with pytest.raises(
        ConfigError,
        match=r"StandardScaler has no method 'predict'; .*\"transform\".*batchable",
    ):
        headway.sklearn.save_model("m", scaler, signatures=BATCHABLE)
    with pytest.raises(ConfigError, match="StandardScaler has no method 'predict'"):
        headway.sklearn.save_model("m", scaler)
    assert headway.models.list() == []


def test_signature_of_a_disabled_method_is_refused(rows: Rows, classes: Any) -> None:
    machine = SVC().fit(rows, classes)
    with pytest.raises(ConfigError, match="SVC has no method 'predict_proba'"):
        headway.sklearn.save_model("m", machine, signatures={"predict_proba": {}})


@pytest.mark.parametrize(
    ("model", "found"),
    [
        pytest.param(StandardScaler, "the class StandardScaler", id="class"),
        pytest.param({"a": 1}, "a dict", id="dict"),
        pytest.param(lambda x: x, "a function", id="function"),
    ],
)
def test_only_estimators_are_accepted(model: object, found: str) -> None:
    with pytest.raises(ConfigError, match=f"not {found}"):
        headway.sklearn.save_model("m", model)


def test_version_can_be_chosen_and_bad_names_are_refused(
    forest: RandomForestClassifier,
) -> None:
    assert str(headway.sklearn.save_model("m:5", forest).tag) == "m:5"
    with pytest.raises(InvalidTagError, match="a_b_"):
        headway.sklearn.save_model("a_b_", forest)


def test_model_of_another_framework_is_refused_by_name(
    forest: RandomForestClassifier,
) -> None:
    model = headway.sklearn.save_model("m", forest)
    for use in (headway.xgboost.get, headway.xgboost.load_model):
        with pytest.raises(ModelNotFoundError, match=r"but by headway\.sklearn"):
            use("m")
    with pytest.raises(ModelNotFoundError, match=r"headway\.models\.get"):
        headway.xgboost.load_model(model)


def test_missing_package_names_the_extra(
    forest: RandomForestClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = headway.sklearn.save_model("m", forest)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'headway\[sklearn\]'"):
        model.to_runner().load()


def test_missing_module_is_named_at_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = write_module(tmp_path, monkeypatch)
    pipeline = make_pipeline(FunctionTransformer(steps.double), StandardScaler())
    model = headway.sklearn.save_model(
        "m", pipeline.fit([[1.0], [2.0]]), signatures={"transform": {}}
    )
    forget_module(monkeypatch)
    with pytest.raises(StoreError, match=r"needs the module 'my_steps'.*external_mod"):
        headway.sklearn.load_model(model)


def test_external_modules_are_saved_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = write_module(tmp_path, monkeypatch)
    pipeline = make_pipeline(FunctionTransformer(steps.double))
    model = headway.sklearn.save_model(
        "m",
        pipeline.fit([[1.0]]),
        signatures={"transform": {}},
        custom_objects={"double": steps.double},
        external_modules=[steps],
    )
    forget_module(monkeypatch)
    loaded = headway.sklearn.load_model(model)
    np.testing.assert_array_equal(loaded.transform(np.array([[4.0]])), [[8.0]])
    assert headway.sklearn.get("m").custom_objects["double"](3) == 6
    assert "my_steps" not in sys.modules


def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "my_steps.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_steps  # type: ignore[import-not-found]  # written just now

    return my_steps


def forget_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "my_steps")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "pytest-of" not in p])


def test_external_modules_must_be_modules(forest: RandomForestClassifier) -> None:
    with pytest.raises(ConfigError, match=r"external_modules contains 'my_steps'"):
        headway.sklearn.save_model(
            "m",
            forest,
            external_modules=["my_steps"],  # type: ignore[list-item]  # the mistake
        )
    assert headway.models.list() == []


def test_objects_that_cannot_be_pickled_are_refused(
    forest: RandomForestClassifier,
) -> None:
    generator = (n for n in range(3))
    with pytest.raises(ConfigError, match=r"custom_objects cannot be pickled.*gener"):
        headway.sklearn.save_model("m", forest, custom_objects={"g": generator})


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        pytest.param(StandardScaler().fit(np.ones((2, 3))), np.ndarray, id="array"),
        pytest.param(
            StandardScaler().fit(pd.DataFrame({"a": [1.0], "b": [2.0]})),
            pd.DataFrame,
            id="frame",
        ),
        pytest.param(
            make_pipeline(StandardScaler(), StandardScaler()).fit([[1.0, 2.0]]),
            np.ndarray,
            id="pipeline",
        ),
    ],
)
def test_warm_up_uses_zeros_without_warnings(model: Any, kind: type[Any]) -> None:
    saved = headway.sklearn.save_model("m", model, signatures={"transform": {}})
    runnable = saved.to_runner().load()
    (row,) = runnable.warmup_samples()["transform"]
    assert type(row) is kind
    assert row.shape[0] == 1
    assert model.transform(row).shape == row.shape


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(OneHotEncoder().fit([["a"], ["b"]]), id="refuses zeros"),
        pytest.param(DictVectorizer().fit([{"a": 1}]), id="no width"),
    ],
)
def test_warm_up_skips_models_that_refuse_zeros(model: Any) -> None:
    saved = headway.sklearn.save_model("m", model, signatures={"transform": {}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert saved.to_runner().load().warmup_samples() == {}


def test_warm_up_uses_the_saved_sample(forest: RandomForestClassifier) -> None:
    sample = np.array([[5.0, 4.0, 3.0, 2.0]])
    model = headway.sklearn.save_model(
        "m", forest, signatures={"predict": {"batchable": True, "sample": sample}}
    )
    (kept,) = model.to_runner().load().warmup_samples()["predict"]
    np.testing.assert_array_equal(kept, sample)


def test_runner_options_by_position(forest: RandomForestClassifier, rows: Rows) -> None:
    headway.sklearn.save_model("m:1", forest, signatures=BATCHABLE)
    runner = headway.models.get("m:1").to_runner(
        "mine", 32, 100.0, {"predict": {"max_batch_size": 8}}
    )
    assert runner.name == "mine"
    assert runner.options["predict"].max_batch_size == 8
    assert runner.options["predict"].max_latency_ms == 100.0
    runner.init_local()
    np.testing.assert_array_equal(runner.run(rows), forest.predict(rows))


def test_two_versions_in_one_service_need_runner_names(
    forest: RandomForestClassifier,
) -> None:
    one = headway.sklearn.save_model("m:1", forest)
    two = headway.sklearn.save_model("m:2", forest)
    with pytest.raises(ConfigError, match=r"to_runner\(name="):
        headway.Service("s", runners=[one.to_runner(), two.to_runner()])
    headway.Service("s", runners=[one.to_runner(), two.to_runner(name="m2")])
