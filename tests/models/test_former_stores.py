"""Models that Headway saved before its modules moved to their present folders."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import xgboost

import headway
from headway.errors import ModelNotFoundError
from headway.models.record import ModelRecord

ARCHIVES = Path(__file__).parent / "archives"
# The archive's scikit-learn may be older than the installed one.
pytestmark = pytest.mark.filterwarnings("ignore:Trying to unpickle")


def import_archive(framework: str) -> headway.Model:
    return headway.models.import_model(ARCHIVES / f"old_{framework}-first.hwmodel")


def init_runner(model: headway.Model) -> headway.Runner:
    runner = model.to_runner()
    runner.init_local()
    return runner


def test_former_sklearn_archive_is_imported_and_served() -> None:
    imported = import_archive("sklearn")
    model = headway.sklearn.get("old_sklearn:latest")
    assert model == imported == headway.models.get("old_sklearn:first")
    assert model.info.labels == {"team": "blue"}
    assert model.info.metadata == {"accuracy": 0.97}
    assert model.info.module == "headway.sklearn"
    loaded = headway.sklearn.load_model("old_sklearn:first")
    rows = np.zeros((2, loaded.n_features_in_))
    predicted = init_runner(model).predict.run(rows)
    np.testing.assert_array_equal(predicted, loaded.predict(rows))


def test_former_xgboost_archive_is_imported_and_served() -> None:
    import_archive("xgboost")
    model = headway.xgboost.get("old_xgboost:first")
    assert list(model.custom_objects) == ["names"]
    loaded = headway.xgboost.load_model(model)
    rows = np.zeros((2, loaded.num_features()), np.float32)
    predicted = init_runner(model).predict.run(rows)
    matrix = xgboost.DMatrix(rows, feature_names=loaded.feature_names)
    np.testing.assert_array_equal(predicted, loaded.predict(matrix))


def test_former_picklable_archive_is_imported_and_served() -> None:
    import_archive("picklable")
    model = headway.picklable_model.get("old_picklable")
    assert headway.picklable_model.load_model(model) is len
    assert init_runner(model).run("four") == 4


@pytest.mark.parametrize("framework", ["sklearn", "xgboost", "picklable"])
def test_former_store_directory_is_listed_served_and_exported(
    framework: str, home: Path, tmp_path: Path
) -> None:
    directory = home / "models" / f"old_{framework}" / "first"
    with zipfile.ZipFile(ARCHIVES / f"old_{framework}-first.hwmodel") as archive:
        archive.extractall(directory)
    (directory.parent / "latest").write_text("first")
    (model,) = headway.models.list()
    assert str(model.tag) == f"old_{framework}:first"
    assert model == headway.models.get(f"old_{framework}")
    assert init_runner(model).methods
    other = headway.sklearn if framework == "xgboost" else headway.xgboost
    with pytest.raises(ModelNotFoundError, match=r"but by headway\.\w+: get it"):
        other.get(model.tag)
    exported = headway.models.export_model(model.tag, tmp_path)
    headway.models.delete(model.tag)
    assert headway.models.import_model(exported).info == model.info


@pytest.mark.parametrize(
    ("written", "module"),
    [
        pytest.param("headway.frameworks.sklearn", "headway.sklearn", id="former"),
        pytest.param(
            "headway.models.frameworks.xgboost", "headway.xgboost", id="internal"
        ),
        pytest.param("headway.picklable_model", "headway.picklable_model", id="public"),
        pytest.param("my.frameworks.sklearn", "my.frameworks.sklearn", id="own"),
        pytest.param("", "", id="none"),
    ],
)
def test_former_framework_modules_are_read_as_public_ones(
    written: str, module: str
) -> None:
    content = ModelRecord(name="m", version="1", module=written).encode()
    assert ModelRecord.decode(content, where="here").module == module
