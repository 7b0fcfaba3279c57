"""headway.picklable_model: functions and objects of any kind."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import headway
from headway.errors import ConfigError

TRAIN = """
import headway, numpy as np

class Doubler:
    def __init__(self, by):
        self.by = by
    def double(self, x):
        return self.by * np.asarray(x)

headway.picklable_model.save_model(
    "doubler",
    Doubler(2),
    signatures={"double": {"batchable": True, "sample": [[1.0]]}},
    custom_objects={"other": Doubler(3)},
)
"""


def test_function_is_served() -> None:
    factor = 3
    model = headway.picklable_model.save_model("triple", lambda x: factor * x)
    runner = model.to_runner()
    runner.init_local()
    assert runner.run(4) == 12
    assert runner.load().warmup_samples() == {}
    assert runner.runnable_class.SUPPORTS_CPU_MULTI_THREADING is False


def test_class_of_the_training_script_is_saved_by_value(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True)
    runner = headway.picklable_model.get("doubler:latest").to_runner()
    runner.init_local()
    np.testing.assert_array_equal(runner.double.run([1, 2]), [2, 4])
    assert runner.load().warmup_samples() == {"double": ([[1.0]],)}
    other = headway.models.get("doubler").custom_objects["other"]
    np.testing.assert_array_equal(other.double([1]), [3])


def test_object_without_call_needs_signatures() -> None:
    with pytest.raises(ConfigError, match=r"list has no method '__call__'.*append"):
        headway.picklable_model.save_model("m", [])


def test_class_is_called_as_a_class() -> None:
    model = headway.picklable_model.save_model("m", dict)
    runner = model.to_runner()
    runner.init_local()
    assert runner.run([("a", 1)]) == {"a": 1}
