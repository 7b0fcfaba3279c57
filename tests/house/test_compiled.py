"""Compiled modules avoid what mypyc cannot compile, which CI does not try.

scripts/compile --test compiles it and runs the tests on it; scripts/check calls that.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def compiled() -> list[Path]:
    """Return the modules that the build hook compiles."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hooks = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    patterns: list[str] = hooks["mypyc"]["include"]
    found = {pattern: sorted(ROOT.glob(pattern)) for pattern in patterns}
    assert all(found.values()), "a pattern without a module"
    return [path for paths in found.values() for path in paths]


def faults(module: ast.Module) -> Iterator[str]:
    """Yield code that mypyc compiles wrongly, or not at all."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef(bases=[ast.Attribute(attr="Future") as base, *_]):
                yield f"line {node.lineno}: derives from {ast.unparse(base)}, C code"
            case ast.ClassDef(bases=[ast.Attribute(attr="Struct"), *_], body=body):
                for line in body:
                    if isinstance(line, ast.AnnAssign) and _is_lost(line):
                        yield f"line {line.lineno}: no field of a compiled record"
            case ast.Call(func=ast.Attribute(attr="Decoder"), args=[ast.Name(id=name)]):
                if name[0].isupper():
                    yield f"line {node.lineno}: {name}, compiled, loses field types"


def _is_lost(line: ast.AnnAssign) -> bool:
    value = "" if line.value is None else ast.unparse(line.value)
    return ast.unparse(line.annotation) == "memoryview" or "msgspec.field" in value


@pytest.mark.parametrize("path", compiled(), ids=lambda path: path.stem)
def test_compiled_modules_keep_to_what_compiles(path: Path) -> None:
    assert not list(faults(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "text",
    [
        "class A(asyncio.Future): ...",
        "class A(msgspec.Struct):\n    payload: memoryview",
        "class A(msgspec.Struct):\n    notes: dict = msgspec.field()",
        "decode = msgspec.msgpack.Decoder(A).decode",
    ],
)
def test_rules_find_violations(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_version_command_shows_whether_it_is_compiled() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "headway", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip().endswith(("(interpreted)", "(compiled)"))
