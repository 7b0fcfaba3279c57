"""The public names: all in `headway.__all__` exist and are cheap to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import headway

# Importing any of these would cost every API worker memory and start-up time.
FRAMEWORKS = [
    "cloudpickle",
    "gevent",
    "joblib",
    "locust",
    "pandas",
    "pydantic",
    "scipy",
    "sklearn",
    "watchfiles",
    "xgboost",
]


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_all_is_sorted_and_without_repeats() -> None:
    assert headway.__all__ == sorted(set(headway.__all__))


def test_dir_lists_all_and_nothing_else_public() -> None:
    extra = set(dir(headway)) - set(headway.__all__) - {"TYPE_CHECKING", "Any"}
    modules = {"importlib", "MISSING_FRAMEWORKS", "install_finder", "missing_framework"}
    loaded = {name for name in sys.modules if name.startswith("headway.")}
    submodules = {name.split(".")[1] for name in loaded}
    public = {name for name in extra if not name.startswith("_")}
    assert public <= modules | submodules
    assert set(headway.__all__) <= set(dir(headway))


@pytest.mark.parametrize("name", headway.__all__)
def test_every_public_name_imports_in_a_fresh_process(name: str) -> None:
    printed = run_python(f"from headway import {name}; print({name} is not None)")
    assert printed == "True\n"


def test_star_import_gives_every_public_name() -> None:
    printed = run_python(
        "from headway import *\nimport headway\n"
        "print(sorted(set(headway.__all__) - set(globals())))"
    )
    assert printed == "[]\n"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'headway' has no attribute 'xgbost'"):
        headway.__getattr__("xgbost")


@pytest.mark.parametrize("name", ["pytorch", "onnx", "tensorflow", "statsmodels"])
@pytest.mark.parametrize(
    "statement",
    [
        "import headway; headway.{}.save_model('m', object())",
        "from headway import {}",
        "import headway.{}",
        "from headway.{} import save_model",
    ],
)
def test_frameworks_without_a_module_say_what_to_use(statement: str, name: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(statement.format(name), {})
    assert isinstance(caught.value, headway.errors.MissingFrameworkError)
    assert caught.value.code == "missing_framework"
    message = caught.value.message
    assert str(caught.value) == message
    assert message.startswith(f"Headway has no module for {name} yet")
    assert "headway.picklable_model.save_model" in message
    assert '"Guides: Save and load models" (docs/guides/models.md)' in message
    assert (Path(__file__).parents[2] / "docs/guides/models.md").is_file()


def test_frameworks_without_a_module_are_explained_in_fresh_processes() -> None:
    printed = run_python(
        "try:\n    from headway import onnx\nexcept ImportError as error:\n"
        "    print(error)"
    )
    assert printed.startswith("Headway has no module for onnx yet")


def test_unknown_submodules_are_ordinary_import_errors() -> None:
    for statement in ("import headway.xgbost", "from headway import xgbost"):
        with pytest.raises(ImportError, match="xgbost") as caught:
            exec(statement, {})
        assert not isinstance(caught.value, headway.errors.HeadwayError)


def test_submodule_imports_work_as_usual() -> None:
    printed = run_python(
        "import headway.io\nfrom headway.io import JSON\nprint(headway.io.JSON is JSON)"
    )
    assert printed == "True\n"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import headway", id="headway"),
        pytest.param("import headway; headway.Service; headway.Runner", id="service"),
        pytest.param("import headway; headway.xgboost.get", id="headway.xgboost"),
        pytest.param("import headway; headway.sklearn.get", id="headway.sklearn"),
        pytest.param(
            "import headway; headway.picklable_model.get", id="headway.picklable_model"
        ),
        pytest.param("import headway; headway.models.list", id="headway.models"),
        pytest.param("from headway.io import JSON, NumpyNdarray, Text", id="io"),
    ],
)
def test_importing_headway_imports_no_framework(statement: str) -> None:
    printed = run_python(
        f"{statement}\nimport sys\nprint(sorted(set(sys.modules) & {set(FRAMEWORKS)}))"
    )
    assert printed == "[]\n"


def test_import_headway_loads_nothing_but_itself() -> None:
    """Time would say the same less reliably on a busy machine."""
    printed = run_python(
        "import importlib, typing, sys\nbefore = set(sys.modules)\nimport headway\n"
        "print(sorted(set(sys.modules) - before))"
    )
    assert printed.split() == [
        "['headway',",
        "'headway.core',",
        "'headway.core.missing_frameworks',",
        "'headway.core.version',",
        "'headway.errors']",
    ]


def test_version_is_that_of_the_distribution() -> None:
    printed = run_python("import importlib.metadata as m; print(m.version('headway'))")
    assert printed.strip() == headway.__version__
