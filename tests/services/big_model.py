"""A service whose model takes 500 MB."""

from typing import Any

import numpy as np

import headway
from headway.io import JSON


class Big(headway.Runnable):
    """Holds as many numbers as a large model."""

    def __init__(self) -> None:
        self.weights = np.ones(500_000_000, np.uint8)

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: list[int]) -> list[int]:
        return [int(self.weights[row]) for row in rows]


runner = headway.Runner(Big, name="big")
svc = headway.Service("big_model", runners=[runner])


@svc.api(input=JSON(), output=JSON())
async def predict(rows: list[int]) -> Any:
    return await runner.predict.async_run(rows)
