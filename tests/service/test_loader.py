"""Loading a service by module or path, and the errors if that fails."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.errors import ModelNotFoundError, ServiceImportError
from headway.service.loader import load_service, locate, service_dir

_SERVICE = "import headway\nsvc = headway.Service('found')\n"


@pytest.fixture(autouse=True)
def restore_imports() -> Iterator[None]:
    """Undo a test's changes of sys.path and sys.modules."""
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
def test_path_is_loaded_from_its_folder(
    folder: Path, reference: str, found: str, where: str
) -> None:
    name, working_dir = locate(reference.format(folder), None)
    assert (name, working_dir) == (found, folder / where)
    assert load_service(name, working_dir).name == "found"


def test_path_in_the_working_dir_becomes_a_module(folder: Path) -> None:
    for reference in (
        "loaded/served_here.py:svc",
        f"{folder}/loaded/served_here.py:svc",
    ):
        name, working_dir = locate(reference, folder)
        assert (name, working_dir) == ("loaded.served_here:svc", folder)
        assert load_service(name, working_dir).name == "found"


def test_module_is_loaded_from_here_or_the_working_dir(folder: Path) -> None:
    assert locate("a.b:svc", None) == ("a.b:svc", Path())
    assert locate("service.py:svc", folder) == ("service.py:svc", folder)


def test_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(ServiceImportError) as caught:
        locate("loaded/nothing.py:svc", None)
    assert f"there is no file {folder}/loaded/nothing.py" in caught.value.message


def test_path_outside_the_working_dir_is_refused(folder: Path) -> None:
    with pytest.raises(ServiceImportError, match="the folder of --working-dir"):
        locate(f"{folder}/loaded/served_here.py:svc", folder / "loaded" / "deep")


def test_import_error_names_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "raises_inside.py").write_text("import json\n\njson.loads('{')\n")
    with pytest.raises(ServiceImportError) as caught:
        load_service("raises_inside:svc", tmp_path)
    message = caught.value.message
    assert "importing it raised JSONDecodeError" in message
    assert f"({tmp_path}/raises_inside.py, line 3)" in message


def test_import_error_prefers_the_users_line_to_site_packages(tmp_path: Path) -> None:
    package = tmp_path / ".venv" / "lib" / "site-packages"
    package.mkdir(parents=True)
    (package / "broken_package.py").write_text("def go():\n    raise OSError('x')\n")
    (tmp_path / "uses_package.py").write_text(
        "import broken_package\nbroken_package.go()"
    )
    sys.path.insert(0, str(package))
    with pytest.raises(ServiceImportError, match=r"uses_package\.py, line 2\)"):
        load_service("uses_package:svc", tmp_path)


MODULES = {
    "two.py": _SERVICE + "other = headway.Service('other')\nnumber = 5\n",
    "none.py": "number = 5\n",
    "twice.py": _SERVICE + "again = svc\n",
    "broken.py": "def f(:\n",
    "raising.py": "\n\nraise ZeroDivisionError('oh')\n",
    "leaving.py": "import sys\nsys.exit('usage: leaving [-h]')\n",
    "nulls.py": "a = 1\0",
    "needing.py": "import no_such_package\n",
    "lacking.py": "import headway\nheadway.models.get('no_such_model')\n",
    "package/__init__.py": "",
    "package/inner.py": _SERVICE,
}


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Return a folder with one module of each kind."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("two:svc", "found"),
        ("two:other", "other"),
        ("twice", "found"),
        ("twice.py", "found"),
        ("package.inner:svc", "found"),
    ],
)
def test_service_is_found_by_module(modules: Path, reference: str, name: str) -> None:
    assert load_service(reference, modules).name == name


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "is not a service: write module:variable"),
        (":svc", "is not a service: write module:variable"),
        ("a b:svc", "is not a service: write module:variable"),
        ("5:svc", "is not a service: write module:variable"),
        ("missing:svc", "there is no module 'missing' in {}; go to the folder"),
        ("package.missing:svc", "there is no module 'package.missing' in {}"),
        ("two", "it has svc, other; name one, as in two:svc"),
        ("none", "it has none; name one"),
        ("two:nothing", "'nothing' does not exist; did you mean two:svc, two:other"),
        ("two:number", "'number' is not a headway.Service; did you mean two:svc"),
        ("none:number", "is not a headway.Service; the module has no Service"),
        ("broken:svc", "raised SyntaxError: * ({}/broken.py, line 1)"),
        ("raising:svc", "raised ZeroDivisionError: oh ({}/raising.py, line 3)"),
        ("leaving:svc", "raised SystemExit: usage: leaving [-h] ({}/leaving.py, *"),
        ("nulls:svc", "source code string cannot contain null bytes ("),
        ("needing:svc", "No module named 'no_such_package' ({}/needing.py, line 1)"),
    ],
)
def test_invalid_reference_is_a_one_line_error(
    modules: Path, reference: str, says: str
) -> None:
    with pytest.raises(ServiceImportError) as caught:
        load_service(reference, modules)
    message = caught.value.message
    assert "\n" not in message
    at = 0
    for part in says.format(modules).split("*"):
        assert part.strip() in message[at:], message
        at = message.index(part.strip(), at)


def test_headway_errors_are_not_wrapped(modules: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no_such_model"):
        load_service("lacking:svc", modules)


def test_service_dir_is_the_folder_of_the_service(modules: Path) -> None:
    assert service_dir("two:svc", modules) == modules
    assert service_dir("package.inner:svc", modules) == modules / "package"
    assert service_dir("package:svc", modules) == modules / "package"


def test_folder_is_added_to_the_path_once(modules: Path) -> None:
    for name in ("two:svc", "twice:svc"):
        load_service(name, modules)
    assert sys.path.count(str(modules)) == 1
