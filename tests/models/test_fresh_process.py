"""Imports in a fresh process: no framework in API workers, only its own in a runner."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

import headway
from tests.models.conftest import Rows

SERVICE = """
import headway
model = headway.xgboost.get("credit:latest")
runner = model.to_runner()
svc = headway.Service("credit", runners=[runner])
words = model.custom_objects["words"]
"""
WORKER = """
import json, sys, service
heavy = ("xgboost", "sklearn", "scipy", "pandas", "cloudpickle", "joblib")
print(json.dumps({
    "imported": [name for name in heavy if name in sys.modules],
    "words": service.words,
    "runner": service.runner.name,
    "labels": service.model.info.labels,
}))
"""
RUNNER = """
import json, sys, service
(runner,) = service.svc.runners
runnable = runner.load()
(row,) = runnable.warmup_samples()["predict"]
print(json.dumps({
    "imported": [name for name in ("xgboost",) if name in sys.modules],
    "prediction": runnable.predict(row).tolist(),
}))
"""


@pytest.fixture
def booster(rows: Rows, classes: Any) -> xgboost.Booster:
    return xgboost.train({}, xgboost.DMatrix(rows, classes), 3)


def run(code: str, directory: Path) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def test_only_the_runner_imports_the_framework(
    booster: xgboost.Booster, tmp_path: Path
) -> None:
    headway.xgboost.save_model(
        "credit", booster, custom_objects={"words": ["a"]}, labels={"x": "y"}
    )
    (tmp_path / "service.py").write_text(SERVICE)
    assert run(WORKER, tmp_path) == {
        "imported": [],
        "words": ["a"],
        "runner": "credit",
        "labels": {"x": "y"},
    }
    expected = booster.inplace_predict(np.zeros((1, 4), np.float32)).tolist()
    assert run(RUNNER, tmp_path) == {"imported": ["xgboost"], "prediction": expected}


def test_fresh_process_loads_a_model_by_tag(
    booster: xgboost.Booster, tmp_path: Path
) -> None:
    model = headway.xgboost.save_model("credit", booster)
    code = (
        "import headway, json\n"
        f"loaded = headway.xgboost.load_model({str(model.tag)!r})\n"
        "print(json.dumps({'width': loaded.num_features()}))"
    )
    assert run(code, tmp_path) == {"width": 4}
