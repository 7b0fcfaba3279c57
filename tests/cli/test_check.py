"""`headway check`: what it prints for a service, and its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.ensemble import RandomForestClassifier

import headway
from headway.cli.check import check
from tests.serving.server import SERVICES

TRIED = "8 rows (1 of the sample, 7 with its floats changed by up to half), alone and "


@pytest.fixture(autouse=True)
def config(tmp_path: Path) -> Path:
    """Return an empty configuration file."""
    path = tmp_path / "test.yaml"
    path.write_text("")
    return path


def call(
    config: Path, *arguments: str, service: str = "checked:svc", methods: str = ""
) -> Result:
    given = ("--working-dir", str(SERVICES), "--config", str(config), *arguments)
    return CliRunner(env={"METHODS": methods}).invoke(check, [service, *given])


def test_service_without_findings(config: Path) -> None:
    result = call(config, methods="double")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"ok           model.double: {TRIED}in batches of 3, 5, 8",
        f"not checked  model.centre: {_no_sample('centre')}",
        f"not checked  model.first: {_no_sample('first')}",
        "not checked  model.whole: it is not batchable",
    ]


def _no_sample(method: str) -> str:
    return (
        f'it has no sample: save the model with `signatures={{"{method}": '
        '{"batchable": True, "sample": X[:1]}}`, or return one from the runnable\'s '
        "warmup_samples()"
    )


def test_service_with_findings(config: Path) -> None:
    result = call(config, methods="double centre first")
    assert result.exit_code == 1
    text = result.output
    assert f"ok           model.double: {TRIED}" in text
    assert f"WRONG        model.centre: {TRIED}" in text
    assert "             8 of 8 rows got another result, such as row " in text
    assert "             -> the result of a row depends on the other rows" in text
    assert (
        "             a batch of 8 rows gave an output with 1 along batch_dim 0: "
        "ndarray of shape (1, 2)\n             -> a batchable method returns" in text
    )


def test_rows_and_tolerances_are_options(config: Path) -> None:
    fewer = call(config, "--rows", "5", methods="double")
    assert "5 rows (1 of the sample, 4 with" in fewer.output
    assert "in batches of 2, 3, 5\n" in fewer.output
    assert call(config, "--atol", "100", methods="centre").exit_code == 0
    assert call(config, "--rtol", "100", methods="centre").exit_code == 1
    assert call(config, "--rows", "1").exit_code == 2


def test_methods_never_batched_are_not_checked(config: Path) -> None:
    config.write_text("runners: {model: {batching: {max_batch_size: 4}}}")
    assert "4 rows (" in call(config, methods="double").output
    config.write_text(
        "runners: {model: {methods: {centre: {max_batch_size: 1}}}}",
    )
    result = call(config, methods="centre")
    assert result.exit_code == 0
    assert "not checked  model.centre: max_batch_size is 1\n" in result.output
    config.write_text("runners: {unloadable: {batching: {enabled: false}}}")
    result = call(config, service="checked:broken")  # its model is not loaded either
    assert (result.exit_code, result.output) == (
        0,
        "not checked  unloadable.predict: the configuration turns batching off\n",
    )


def test_saved_model_is_checked_without_its_own_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    rows = np.random.default_rng(7).normal(size=(100, 3))
    forest = RandomForestClassifier(n_estimators=5, random_state=1)
    headway.sklearn.save_model(
        "checked_forest",
        forest.fit(rows, rows[:, 0] > 0.2),
        signatures={"predict_proba": {"batchable": True}},
    )
    (tmp_path / "forest_service.py").write_text(
        "import headway\n"
        "runner = headway.sklearn.get('checked_forest').to_runner()\n"
        "svc = headway.Service('forest', runners=[runner])\n"
    )
    result = call(config, "--working-dir", str(tmp_path), service="forest_service:svc")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(
        f"ok           checked_forest.predict_proba: {TRIED}in batches of 3, 5, 8\n"
    )


def test_service_without_runners(config: Path) -> None:
    result = call(config, service="checked:bare")
    assert (result.exit_code, result.output) == (
        0,
        "bare has no runners: there is nothing to check\n",
    )


@pytest.mark.parametrize(
    ("service", "methods", "says"),
    [
        ("checked:gone", "", "checked:gone: 'gone' does not exist; did you mean "),
        (
            "checked:broken",
            "",
            "runner 'unloadable' cannot load its model: OSError: the weights are not "
            "there\n",
        ),
        (
            "checked:svc",
            "sum",
            "runner 'model': warmup_samples() has a sample for 'sum', but ",
        ),
    ],
)
def test_errors_are_one_line(
    config: Path, service: str, methods: str, says: str
) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "headway", "check", service),
            *("--working-dir", str(SERVICES), "--config", str(config)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "METHODS": methods},
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"headway: error: {says}")
    assert result.stderr.count("\n") == 1
