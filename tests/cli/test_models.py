"""`headway models`: its commands, output and errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import headway
from headway.cli.main import main
from headway.cli.models import models


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(*args: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(models, args, input=answer)


def save(tag: str) -> headway.Model:
    return headway.picklable_model.save_model(tag, len, labels={"stage": "test"})


def test_list_of_an_empty_store() -> None:
    assert call("list").output == "TAG  MODULE  SIZE  CREATED\n"
    assert json.loads(call("list", "-o", "json").output) == []


def test_list_as_table_and_json() -> None:
    save("m:1")
    save("n:1")
    lines = call("list").output.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["m:1", "headway.picklable_model"],
        ["n:1", "headway.picklable_model"],
    ]
    (row,) = json.loads(call("list", "n", "-o", "json").output)
    assert row["tag"] == "n:1"
    assert row["labels"] == {"stage": "test"}
    assert row["size_bytes"] > 100


def test_get_shows_the_record(home: Path) -> None:
    save("m:1")
    assert "name: m\n" in call("get", "m").output
    shown = json.loads(call("get", "m:latest", "--output", "json").output)
    assert shown["version"] == "1"
    assert shown["signatures"]["__call__"]["batchable"] is False
    assert shown["path"] == str(home / "models" / "m" / "1")


def test_delete_asks_for_confirmation_unless_yes() -> None:
    save("m:1")
    save("m:2")
    kept = call("delete", "m:1", answer="n\n")
    assert "Delete the model m:1? [y/N]" in kept.output
    assert len(headway.models.list()) == 2
    assert call("delete", "m:1", answer="y\n").exit_code == 0
    assert [str(model.tag) for model in headway.models.list()] == ["m:2"]
    assert call("delete", "m:latest", "-y").output == "Deleted m:2.\n"
    assert headway.models.list() == []


def test_delete_by_name_deletes_all_versions() -> None:
    for tag in ("m:1", "m:2", "n:1"):
        save(tag)
    assert call("delete", "m", "m:1", "-y").output == "Deleted m:1.\nDeleted m:2.\n"
    assert [str(model.tag) for model in headway.models.list()] == ["n:1"]


def test_export_and_import(tmp_path: Path) -> None:
    save("m:1")
    exported = call("export", "m", str(tmp_path))
    assert exported.output == f"Exported m to {tmp_path}/m-1.hwmodel.\n"
    call("delete", "m", "-y")
    imported = call("import", str(tmp_path / "m-1.hwmodel"))
    assert imported.output == "Imported m:1.\n"
    assert len(headway.models.list()) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(("get", "gone"), "no model gone in", id="get"),
        pytest.param(("list", "gone"), "no model gone in", id="list"),
        pytest.param(("delete", "gone", "-y"), "no model gone in", id="delete"),
        pytest.param(("export", "gone"), "no model gone in", id="export"),
        pytest.param(("import", "/gone"), "cannot read /gone", id="import"),
        pytest.param(("get", "../m"), "model name '../m': use at", id="tag"),
        pytest.param(("list", "a b"), "model name 'a b': use at", id="name"),
    ],
)
def test_errors_are_one_line_with_exit_code_1(
    args: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["headway", "models", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headway: error: {message}")
    assert printed.err.count("\n") == 1


def test_command_imports_no_framework() -> None:
    save("m:1")
    code = (
        "import sys\nfrom headway.cli.models import models\n"
        "models(['list'], standalone_mode=False)\n"
        "assert not {'cloudpickle', 'sklearn', 'xgboost', 'numpy'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "m:1" in result.stdout
