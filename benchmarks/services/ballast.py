"""A model that holds 500 MB of unused memory."""

from typing import Any

import numpy as np

import headway
from headway.io import NumpyNdarray


class Ballast(headway.Runnable):
    """500 MB of ones."""

    def __init__(self) -> None:
        self.weights = np.ones(500 * 2**20 // 8)

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the rows."""
        return rows


runner = headway.Runner(Ballast, name="ballast")
svc = headway.Service("ballast", runners=[runner])


@svc.api(input=NumpyNdarray(), output=NumpyNdarray())
async def predict(rows: Any) -> Any:
    """Return the rows."""
    return await runner.predict.async_run(rows)
