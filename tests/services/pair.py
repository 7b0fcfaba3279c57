"""A service that asks two models at once."""

import asyncio
import time
from typing import Any

import headway
from headway.io import JSON


class Fifty(headway.Runnable):
    """Takes 50 ms."""

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: list[int]) -> list[int]:
        time.sleep(0.05)
        return rows


left = headway.Runner(Fifty, name="left")
right = headway.Runner(Fifty, name="right")
svc = headway.Service("pair", runners=[left, right])


@svc.api(input=JSON(), output=JSON())
async def both(rows: list[int]) -> Any:
    return await asyncio.gather(
        left.predict.async_run(rows), right.predict.async_run(rows)
    )
