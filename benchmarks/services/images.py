"""The peers' network on images; answers tell when the model began after the body came.

benchmarks/image.py says in the environment which model it is and where it lies.
"""

import time
from typing import Any

import numpy as np

import headway
from benchmarks.peers.services.inference import load
from headway.io import NumpyNdarray

_SHAPE = (3, 224, 224)


class Network(headway.Runnable):
    """Holds the model."""

    def __init__(self) -> None:
        self._predict = load()

    @headway.Runnable.method(batchable=True)
    def predict(self, images: Any) -> Any:
        """Return for each image its class and the time at which the model began."""
        return self._predict(images)

    def warmup_samples(self) -> dict[str, tuple[Any, ...]]:
        """Return one image."""
        return {"predict": (np.ones((1, *_SHAPE), np.float32),)}


class _Stamped(NumpyNdarray):
    """Notes when the body had come."""

    def decode(self, body: bytes, content_type: str | None) -> Any:
        came_at = time.monotonic()
        return came_at, super().decode(body, content_type)


runner = headway.Runner(Network, name="network")
svc = headway.Service("images", runners=[runner])


@svc.api(input=_Stamped(dtype="float32", shape=(-1, *_SHAPE)), output=NumpyNdarray())
async def predict(stamped: Any) -> Any:
    """Return for each image its class, and the seconds from its body to its model."""
    came_at, images = stamped
    return await runner.predict.async_run(images) - np.array([0.0, came_at])
