"""The scripts name what a machine lacks, and list what they can do.

That they make .venv and install by themselves is seen where CI starts in a fresh clone.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path
    for path in (ROOT / "scripts").iterdir()
    if path.suffix == "" and path.is_file()
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a checkout that has no .venv, as far as scripts/ needs one."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(
    clone: Path, script: str, *arguments: str, python: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of the clone from another folder, PYTHON being set."""
    return subprocess.run(
        [str(clone / "scripts" / script), *arguments],
        cwd="/",
        env={**os.environ, **({} if python is None else {"PYTHON": python})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(clone: Path, text: str) -> str:
    """Write an executable that answers as an interpreter would."""
    path = clone / "fake-python"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_executable(script: Path) -> None:
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    "script", ["compile", "coverage", "demo", "docs", "lint", "soak", "test"]
)
def test_old_python_is_one_clear_line(clone: Path, script: str) -> None:
    result = run(clone, script, python=fake_python(clone, "exit 1"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"{script}: no Python 3.11 or newer found: install one, or name it with "
        f"PYTHON=/path/to/python3 {clone}/scripts/{script}\n"
    )
    assert not (clone / ".venv").exists()


def test_python_without_venv_is_one_clear_line(clone: Path) -> None:
    python = fake_python(clone, 'case "$2" in *ensurepip*) exit 1 ;; esac')
    result = run(clone, "test", python=python)
    assert result.returncode == 1
    assert result.stderr == (
        f"test: {python} cannot make a virtual environment: on Debian or Ubuntu run "
        "'apt-get install python3-venv' first, or name another interpreter with "
        "PYTHON=/path/to/python3\n"
    )


def test_bench_lists_benchmarks(clone: Path) -> None:
    benchmarks = clone / "benchmarks"
    benchmarks.mkdir()
    text = '"""Is it fast?\n\nMore."""\nif __name__ == "__main__":\n    pass\n'
    (benchmarks / "speed.py").write_text(text, encoding="utf-8")
    (benchmarks / "shared.py").write_text('"""Not one."""\n', encoding="utf-8")
    (benchmarks / "model").mkdir()
    (benchmarks / "model" / "__main__.py").write_text(text, encoding="utf-8")
    result = run(clone, "bench")
    assert result.returncode == 0
    assert result.stdout.splitlines()[1:] == [
        "  speed                    Is it fast?",
        "  model                    Is it fast?",
    ]


def test_unknown_benchmark_is_refused(clone: Path) -> None:
    result = run(clone, "bench", "sped")
    assert result.returncode == 2
    assert "no benchmark is called 'sped'" in result.stderr
