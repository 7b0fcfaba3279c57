"""The peers' network on images; answers have the time from the body to the model.

benchmarks/image.py names the model and its folder in environment variables.
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
        """Return the class of each image and the start time of the model."""
        return self._predict(images)

    def warmup_samples(self) -> dict[str, tuple[Any, ...]]:
        """Return one image."""
        return {"predict": (np.ones((1, *_SHAPE), np.float32),)}


class _Stamped(NumpyNdarray):
    """Records the arrival time of the body."""

    def decode(self, body: bytes, content_type: str | None) -> Any:
        came_at = time.monotonic()
        return came_at, super().decode(body, content_type)


runner = headway.Runner(Network, name="network")
svc = headway.Service("images", runners=[runner])


@svc.api(input=_Stamped(dtype="float32", shape=(-1, *_SHAPE)), output=NumpyNdarray())
async def predict(stamped: Any) -> Any:
    """Return the class of each image, and the seconds from its body to its model."""
    came_at, images = stamped
    return await runner.predict.async_run(images) - np.array([0.0, came_at])
