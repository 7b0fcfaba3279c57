"""Reads the imports of a package and finds those that break the layering.

Every import counts: at module level, in functions, under TYPE_CHECKING, and
`importlib.import_module("literal")`. `from headway.io import JSON` is an import of the
module headway.io; `from headway.io import base` is one of headway.io.base.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# Low to high, by the first name below the package; imports point down or sideways.
ORDER = (
    "errors",
    "core",
    "config",
    "metrics",
    "observability",
    "io",
    "service",
    "models",
    "ipc",
    "scheduling",
    "http",
    "api runner",
    "server",
    "tools",
    "cli",
    "__init__ __main__ locust picklable_model sklearn xgboost",
)
LAYERS: tuple[frozenset[str], ...] = tuple(frozenset(row.split()) for row in ORDER)
# The two ends of the connection between processes must not import each other.
STRANGERS = frozenset({"api", "runner"})
# Only this folder connects the two ends.
WIRING = frozenset({"server"})
# Commands import their modules when they run, so that `headway --help` is quick.
LAZY = frozenset({"cli"})
# Import names of pyproject.toml's dependencies: required, or of an extra.
CORE = frozenset(
    {
        "click",
        "httptools",
        "msgspec",
        "numpy",
        "prometheus_client",
        "swagger_ui_bundle",
        "uvloop",
        "yaml",
    }
)
EXTRAS = frozenset(
    {
        "a2wsgi",
        "cloudpickle",
        "gevent",
        "joblib",
        "locust",
        "opentelemetry",
        "pandas",
        "plotly",
        "pydantic",
        "scipy",
        "sklearn",
        "watchfiles",
        "xgboost",
    }
)
# Required, but imported only where it is used: few API workers need it.
SPARED = frozenset({"starlette"})


class Import(NamedTuple):
    """One import statement's target."""

    importer: str
    imported: str
    line: int
    in_function: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def read_imports(root: Path) -> dict[str, list[Import]]:
    """Return the imports of each module of the package at `root`, by module name."""
    files = {_module_name(root, path): path for path in sorted(root.rglob("*.py"))}
    return {
        module: _Reader(module, path.name == "__init__.py", frozenset(files)).read(path)
        for module, path in files.items()
    }


def _module_name(root: Path, path: Path) -> str:
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str, is_package: bool, modules: frozenset[str]) -> None:
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._modules = modules
        self._functions = 0
        self._typing_blocks = 0
        self._found: list[Import] = []

    def read(self, path: Path) -> list[Import]:
        self.visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        return self._found

    def _add(self, imported: str, line: int) -> None:
        self._found.append(
            Import(
                importer=self._module,
                imported=imported,
                line=line,
                in_function=self._functions > 0,
                typing_only=self._typing_blocks > 0,
            )
        )

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            parents = parents[: len(parents) - node.level + 1]
            base = ".".join([*parents, *base.split(".")] if base else parents)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            self._add(full if full in self._modules else base, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in {"importlib.import_module", "import_module", "__import__"}:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self._add(name, node.lineno)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        typing_only = ast.unparse(node.test) in {
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        }
        self._typing_blocks += typing_only
        for statement in node.body:
            self.visit(statement)
        self._typing_blocks -= typing_only
        for statement in node.orelse:
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node)

    def _visit_function(self, node: ast.AST) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1


def violations(root: Path) -> list[str]:
    """Return the violations in the package at `root`, a line each."""
    graph = read_imports(root)
    found = [
        message
        for module, imports in graph.items()
        for message in (
            *_layer_violations(root.name, module, imports),
            *_place_violations(root.name, module, imports),
        )
    ]
    return [*found, *_cycles(graph)]


def _part(package: str, module: str) -> str:
    return "__init__" if module == package else module.split(".")[1]


def _rank(part: str) -> int | None:
    for rank, layer in enumerate(LAYERS):
        if part in layer:
            return rank
    return None


def _layer_violations(
    package: str, module: str, imports: Iterable[Import]
) -> Iterator[str]:
    part = _part(package, module)
    rank = _rank(part)
    if rank is None:
        yield f"{module} has no layer: add {part!r} to LAYERS"
        return
    for found in imports:
        if found.imported.split(".")[0] != package:
            continue
        other = _part(package, found.imported)
        other_rank = _rank(other)
        if other_rank is None:
            yield f"{found}, which has no layer"
        elif other_rank > rank:
            yield f"{found}, which is above it"
        elif other != part and {part, other} <= STRANGERS:
            yield f"{found}: api and runner know nothing of each other"
        elif other in STRANGERS and part not in {other, *WIRING}:
            yield f"{found}: only {', '.join(sorted(WIRING))} may wire it"


def _place_violations(
    package: str, module: str, imports: Iterable[Import]
) -> Iterator[str]:
    known = {package, *sys.stdlib_module_names, *CORE, *SPARED, *EXTRAS}
    lazy = _part(package, module) in LAZY
    for found in imports:
        top = found.imported.split(".")[0]
        if top not in known:
            yield f"{found}, which pyproject.toml does not declare"
        elif top in EXTRAS and not (found.in_function or found.typing_only):
            yield f"{found}, an optional extra, at module level"
        elif top in SPARED and not (found.in_function or found.typing_only):
            yield f"{found}, which few need, at module level"
        elif top not in EXTRAS | SPARED and found.in_function and not lazy:
            yield f"{found} inside a function"


def _cycles(graph: Mapping[str, list[Import]]) -> Iterator[str]:
    edges = {
        module: sorted({found.imported for found in imports} & set(graph))
        for module, imports in graph.items()
    }
    finished: set[str] = set()

    def walk(module: str, path: list[str]) -> Iterator[str]:
        if module in path:
            yield "cycle: " + " -> ".join([*path[path.index(module) :], module])
        elif module not in finished:
            for imported in edges[module]:
                yield from walk(imported, [*path, module])
            finished.add(module)

    for module in sorted(edges):
        yield from walk(module, [])
