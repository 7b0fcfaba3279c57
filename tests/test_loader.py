"""A service by module or path, and what is said when there is none."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.errors import ServiceImportError
from headway.loader import load_service, locate

_SERVICE = "import headway\nsvc = headway.Service('found')\n"


@pytest.fixture(autouse=True)
def restore_imports() -> Iterator[None]:
    """Forget the modules of a test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a service in a folder of its own, and go there."""
    (tmp_path / "loaded" / "deep").mkdir(parents=True)
    (tmp_path / "loaded" / "served_here.py").write_text(_SERVICE)
    (tmp_path / "loaded" / "deep" / "served_deep.py").write_text(_SERVICE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "found", "where"),
    [
        ("{}/loaded/served_here.py:svc", "served_here:svc", "loaded"),
        ("{}/loaded/served_here.py", "served_here", "loaded"),
        ("{}/loaded/served_here:svc", "served_here:svc", "loaded"),
        ("loaded/served_here.py:svc", "served_here:svc", "loaded"),
        ("./loaded/deep/served_deep.py:svc", "served_deep:svc", "loaded/deep"),
        ("loaded/../loaded/served_here.py:svc", "served_here:svc", "loaded"),
    ],
)
def test_a_path_is_served_from_its_folder(
    folder: Path, reference: str, found: str, where: str
) -> None:
    name, working_dir = locate(reference.format(folder), None)
    assert (name, working_dir) == (found, folder / where)
    assert load_service(name, working_dir).name == "found"


def test_a_working_dir_makes_a_module_of_the_path(folder: Path) -> None:
    for reference in (
        "loaded/served_here.py:svc",
        f"{folder}/loaded/served_here.py:svc",
    ):
        name, working_dir = locate(reference, folder)
        assert (name, working_dir) == ("loaded.served_here:svc", folder)
        assert load_service(name, working_dir).name == "found"


def test_a_module_is_looked_for_here_or_in_the_working_dir(folder: Path) -> None:
    assert locate("a.b:svc", None) == ("a.b:svc", Path())
    assert locate("service.py:svc", folder) == ("service.py:svc", folder)


def test_a_path_without_a_file_is_named(folder: Path) -> None:
    with pytest.raises(ServiceImportError) as caught:
        locate("loaded/nothing.py:svc", None)
    assert f"there is no file {folder}/loaded/nothing.py" in caught.value.message


def test_a_path_outside_the_working_dir_is_refused(folder: Path) -> None:
    with pytest.raises(ServiceImportError, match="which --working-dir names"):
        locate(f"{folder}/loaded/served_here.py:svc", folder / "loaded" / "deep")


def test_an_import_that_raises_names_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "raises_inside.py").write_text("import json\n\njson.loads('{')\n")
    with pytest.raises(ServiceImportError) as caught:
        load_service("raises_inside:svc", tmp_path)
    message = caught.value.message
    assert "importing it raised JSONDecodeError" in message
    assert f"({tmp_path}/raises_inside.py, line 3)" in message


def test_a_package_in_the_users_folder_is_not_the_users(tmp_path: Path) -> None:
    package = tmp_path / ".venv" / "lib" / "site-packages"
    package.mkdir(parents=True)
    (package / "broken_package.py").write_text("def go():\n    raise OSError('x')\n")
    (tmp_path / "uses_package.py").write_text(
        "import broken_package\nbroken_package.go()"
    )
    sys.path.insert(0, str(package))
    with pytest.raises(ServiceImportError, match=r"uses_package\.py, line 2\)"):
        load_service("uses_package:svc", tmp_path)
