"""The models as all servers call them, and the conversion of requests and batches.

It runs in the environment of each peer, so it imports only what the models need. The
variables HEADWAY_PEERS_MODELS and HEADWAY_PEERS_MODEL name their folder and the model.
"""

import json
import os
import pickle
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NAME", "Predict", "answer_all", "load", "predict_all", "rows_of"]

NAME = os.environ.get("HEADWAY_PEERS_MODEL", "logistic")
Predict = Callable[[Any], Any]


def load() -> Predict:
    """Return the function that computes an array of rows; for credit, of dicts."""
    folder = Path(os.environ["HEADWAY_PEERS_MODELS"])
    if NAME == "image":
        return _image(folder)
    if NAME == "credit":
        return _credit(folder)
    model = _unpickle(folder / f"{NAME}.pkl")
    return lambda rows: model.predict(rows)


def _unpickle(path: Path) -> Any:
    # written by models.py on this machine
    return pickle.loads(path.read_bytes())


def _image(folder: Path) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "image.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def predict(images: Any) -> Any:
        """Return the class of each image and the start time of the model."""
        began = time.monotonic()
        (scores,) = session.run(None, {"images": images})
        classes = scores.argmax(axis=1)
        return np.column_stack([classes, np.full(len(classes), began)])

    return predict


def _credit(folder: Path) -> Predict:
    import xgboost

    vectorizer, booster = _unpickle(folder / "credit.pkl")

    def predict(applications: list[Any]) -> list[str]:
        vectors = vectorizer.transform(applications)
        risks = booster.predict(xgboost.DMatrix(vectors))
        return ["DECLINED" if risk > 0.5 else "APPROVED" for risk in risks]

    return predict


def rows_of(body: bytes) -> Any:
    """Return the rows in a request body: .npy for images, otherwise JSON."""
    return np.load(BytesIO(body)) if NAME == "image" else json.loads(body)


def predict_all(predict: Predict, requests: list[Any]) -> list[list[Any]]:
    """Return the answers to each request, computed as one batch."""
    if NAME == "credit":
        answers = predict([row for rows in requests for row in rows])
    else:
        answers = predict(np.concatenate(requests)).tolist()
    parts, at = [], 0
    for rows in requests:
        parts.append(answers[at : at + len(rows)])
        at += len(rows)
    return parts


def answer_all(predict: Predict, bodies: list[bytes]) -> list[list[Any]]:
    """Return the answers to each body, computed as one batch."""
    return predict_all(predict, [rows_of(body) for body in bodies])
