"""BentoML 1.4: a worker for each core, with adaptive batching in each."""

import base64
from typing import Any

import bentoml
import numpy as np
from benchmarks.peers.services.application import CreditApplication
from benchmarks.peers.services.inference import load, rows_of

_BATCHES: dict[str, Any] = {
    "batchable": True,
    "max_batch_size": 2048,
    "max_latency_ms": 60_000,
}


@bentoml.service(workers="cpu_count", traffic={"timeout": 60})
class Model:
    """Holds the model."""

    def __init__(self) -> None:
        self._predict = load()

    @bentoml.api(**_BATCHES)
    def predict(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """Classify flowers."""
        return np.asarray(self._predict(rows))

    @bentoml.api(**_BATCHES)
    def classify(self, images: list[str]) -> list[list[float]]:
        """Classify images, in base64."""
        rows = np.concatenate([rows_of(base64.b64decode(text)) for text in images])
        return np.asarray(self._predict(rows)).tolist()  # type: ignore[no-any-return]

    @bentoml.api(**_BATCHES)
    def decide(self, applications: list[CreditApplication]) -> list[str]:
        """Say whether to lend."""
        return list(self._predict([one.model_dump() for one in applications]))
