"""A store for each test, and small models trained on data made here."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Rows = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def rows() -> Rows:
    return np.random.default_rng(7).normal(size=(120, 4))


@pytest.fixture(scope="session")
def classes(rows: Rows) -> Any:
    return (rows[:, 0] + rows[:, 1] > 0).astype(int) + (rows[:, 2] > 1)
