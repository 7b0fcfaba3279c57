"""Trains the models once for all servers; session calls it first."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

__all__ = ["train"]

_ROOT = Path(__file__).parents[2]
_SEED = 0
_EXPORT = """
import pickle, sys, headway
model = headway.xgboost.get("credit_risk_model:latest")
booster = headway.xgboost.load_model("credit_risk_model:latest")
with open(sys.argv[1], "wb") as file:
    pickle.dump((model.custom_objects["dictVectorizer"], booster), file)
"""


def train(folder: Path) -> None:
    """Write the missing models into a folder, which is also Headway's model store."""
    folder.mkdir(parents=True, exist_ok=True)
    flowers = load_iris(return_X_y=True)
    for name, model in (
        ("logistic", LogisticRegression(max_iter=1000)),
        ("forest", RandomForestClassifier(100, random_state=_SEED)),
    ):
        if not (folder / f"{name}.pkl").exists():
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(model.fit(*flowers)))
    if not (folder / "image.onnx").exists():
        (folder / "image.onnx").write_bytes(_convolutions())
    if not (folder / "credit.pkl").exists():
        _train_credit(folder)


def _train_credit(folder: Path) -> None:
    environment = {**os.environ, "HEADWAY_HOME": str(folder)}
    for command, where in (
        ([sys.executable, "train.py"], _ROOT / "examples/credit_risk"),
        ([sys.executable, "-c", _EXPORT, str(folder / "credit.pkl")], _ROOT),
    ):
        subprocess.run(command, check=True, cwd=where, env=environment, timeout=120)


def _convolutions() -> bytes:
    """Return a small network for images: two convolutions, pooled to ten scores."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(_SEED)

    def weights(name: str, *shape: int) -> Any:
        values = random.normal(0, 0.1, shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Conv", ["images", "first"], ["a"], strides=[4, 4]),
            node("Relu", ["a"], ["b"]),
            node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", ["c", "second"], ["d"]),
            node("GlobalAveragePool", ["d"], ["e"]),
            node("Flatten", ["e"], ["f"]),
            node("MatMul", ["f", "last"], ["scores"]),
        ],
        "image",
        [
            helper.make_tensor_value_info(
                "images", TensorProto.FLOAT, ["n", 3, 224, 224]
            )
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])],
        [
            weights("first", 16, 3, 7, 7),
            weights("second", 32, 16, 3, 3),
            weights("last", 32, 10),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return bytes(model.SerializeToString())
