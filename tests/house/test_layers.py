"""The package's imports point down without cycles, and the checker finds violations.

The rules and the table of layers are in import_rules.
"""

from pathlib import Path

import pytest

import headway
from tests.house.import_rules import LAYERS, read_imports, violations

SOURCE = Path(headway.__file__).parent


def test_imports_keep_to_the_layers() -> None:
    assert violations(SOURCE) == []


def test_whole_package_is_read() -> None:
    graph = read_imports(SOURCE)
    assert "headway" in graph
    assert "headway.io" in graph
    assert "headway.io.base" in {
        found.imported for found in graph["headway.service.service"]
    }


def test_each_part_has_one_layer() -> None:
    parts = [part for layer in LAYERS for part in layer]
    assert len(parts) == len(set(parts))


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a package called headway that holds these files."""
    package = root / "headway"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"io/json.py": "from headway.errors import E"}, id="down"),
        pytest.param(
            {"ipc/rows.py": "from headway.ipc.frames import X"}, id="sideways"
        ),
        pytest.param(
            {"models/frameworks/xgboost.py": "def load():\n    import xgboost"},
            id="extra-in-a-function",
        ),
        pytest.param(
            {"api/stack.py": "def route():\n    from starlette import routing"},
            id="spared-in-a-function",
        ),
        pytest.param(
            {
                "io/frame.py": "from typing import TYPE_CHECKING\n"
                "if TYPE_CHECKING:\n    import pandas"
            },
            id="extra-for-its-types",
        ),
        pytest.param(
            {
                "cli/serve.py": "def serve():\n    import headway.server.supervisor",
                "server/supervisor.py": "",
            },
            id="command-imports-when-run",
        ),
        pytest.param(
            {
                "server/assembly.py": "import headway.api.worker\n"
                "import headway.runner.worker"
            },
            id="assemble-wires",
        ),
    ],
)
def test_allowed_imports_pass(tmp_path: Path, files: dict[str, str]) -> None:
    assert violations(plant(tmp_path, files)) == []


CYCLE = "cycle: headway.io.a -> headway.io.b -> headway.io.a"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {"errors.py": "import headway.service.service"},
            "headway.errors:1 imports headway.service.service, which is above it",
            id="up",
        ),
        pytest.param(
            {"errors.py": "\nfrom headway import io", "io/__init__.py": ""},
            "headway.errors:2 imports headway.io, which is above it",
            id="up-from-the-package",
        ),
        pytest.param(
            {"errors.py": "import headway"},
            "headway.errors:1 imports headway, which is above it",
            id="up-to-the-package-itself",
        ),
        pytest.param(
            {"ipc/unix.py": "from ..http import server", "http/server.py": ""},
            "headway.ipc.unix:1 imports headway.http.server, which is above it",
            id="up-relative",
        ),
        pytest.param(
            {"models.py": "import importlib\nimportlib.import_module('headway.http')"},
            "headway.models:2 imports headway.http, which is above it",
            id="up-importlib",
        ),
        pytest.param(
            {"scheduling/queue.py": "if TYPE_CHECKING:\n    import headway.api.worker"},
            "headway.scheduling.queue:2 imports headway.api.worker, which is above it",
            id="up-type-checking",
        ),
        pytest.param(
            {"novelty.py": ""},
            "headway.novelty has no layer: add 'novelty' to LAYERS",
            id="module-without-layer",
        ),
        pytest.param(
            {"cli/main.py": "import headway.novelty"},
            "headway.cli.main:1 imports headway.novelty, which has no layer",
            id="import-without-layer",
        ),
        pytest.param(
            {"api/worker.py": "from headway.runner import inbox"},
            "headway.api.worker:1 imports headway.runner: "
            "api and runner know nothing of each other",
            id="strangers",
        ),
        pytest.param(
            {"runner/worker.py": "import headway.api.endpoint"},
            "headway.runner.worker:1 imports headway.api.endpoint: "
            "api and runner know nothing of each other",
            id="strangers-reversed",
        ),
        pytest.param(
            {"cli/serve.py": "import headway.api.worker"},
            "headway.cli.serve:1 imports headway.api.worker: only server may wire it",
            id="wired-elsewhere",
        ),
        pytest.param(
            {"http/server.py": "def f():\n    import json"},
            "headway.http.server:2 imports json inside a function",
            id="function-local",
        ),
        pytest.param(
            {"http/server.py": "class A:\n    async def f(self):\n        import json"},
            "headway.http.server:3 imports json inside a function",
            id="function-local-async",
        ),
        pytest.param(
            {
                "models/frameworks/xgboost.py": "try:\n    import xgboost\n"
                "except E:\n    pass"
            },
            "headway.models.frameworks.xgboost:2 imports xgboost, "
            "an optional extra, at module level",
            id="extra-at-module-level",
        ),
        pytest.param(
            {"api/stack.py": "from starlette import routing"},
            "headway.api.stack:1 imports starlette, which few need, at module level",
            id="spared-at-module-level",
        ),
        pytest.param(
            {
                "service.py": "importlib.import_module('headway.server.asgi_app')",
                "server/asgi_app.py": "",
            },
            "headway.service:1 imports headway.server.asgi_app, which is above it",
            id="up-by-a-call",
        ),
        pytest.param(
            {
                "models/store/store.py": "import_module('headway.server.asgi_app')",
                "server/asgi_app.py": "",
            },
            "headway.models.store.store:1 imports headway.server.asgi_app, "
            "which is above it",
            id="up-from-elsewhere",
        ),
        pytest.param(
            {"cli/main.py": "from pydantic import BaseModel"},
            "headway.cli.main:1 imports pydantic, an optional extra, at module level",
            id="extra-in-a-command-module",
        ),
        pytest.param(
            {"http/server.py": "import requests"},
            "headway.http.server:1 imports requests, "
            "which pyproject.toml does not declare",
            id="undeclared",
        ),
        pytest.param(
            {"io/a.py": "import headway.io.b", "io/b.py": "import headway.io.a"},
            CYCLE,
            id="cycle",
        ),
        pytest.param(
            {
                "io/a.py": "import headway.io.b",
                "io/b.py": "if TYPE_CHECKING:\n    from headway.io.a import A",
            },
            CYCLE,
            id="cycle-type-checking",
        ),
        pytest.param(
            {
                "io/a.py": "def f():\n    import headway.io.b",
                "io/b.py": "from headway.io import a",
            },
            CYCLE,
            id="cycle-function-local",
        ),
        pytest.param(
            {
                "io/__init__.py": "from headway.io.json import JSON",
                "io/json.py": "from headway.io import IODescriptor",
            },
            "cycle: headway.io -> headway.io.json -> headway.io",
            id="cycle-through-a-package",
        ),
    ],
)
def test_planted_violation_is_found(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    assert message in violations(plant(tmp_path, files))
