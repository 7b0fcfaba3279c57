"""Headway: the API in a worker for each core, one runner, batches by its scheduler.

The credit-risk service is the one of examples/.
"""

from typing import Any

import numpy as np
from benchmarks.peers.services.inference import NAME, load

import headway
from headway.io import NumpyNdarray


class Model(headway.Runnable):
    """Holds the model."""

    def __init__(self) -> None:
        self._predict = load()

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the answers to a batch."""
        return self._predict(rows)

    def warmup_samples(self) -> dict[str, tuple[Any, ...]]:
        """Return one row."""
        shape = (1, 3, 224, 224) if NAME == "image" else (1, 4)
        dtype = np.float32 if NAME == "image" else np.float64
        return {"predict": (np.ones(shape, dtype),)}


runner = headway.Runner(Model, name="model")
svc = headway.Service("peers", runners=[runner])
_rows = (
    NumpyNdarray(dtype="float32", shape=(-1, 3, 224, 224))
    if NAME == "image"
    else NumpyNdarray(shape=(-1, 4))
)


@svc.api(input=_rows, output=NumpyNdarray(), name="predict")
async def predict(rows: Any) -> Any:
    """Classify flowers or images."""
    return await runner.predict.async_run(rows)
