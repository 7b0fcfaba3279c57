"""A service that calls two models at once, each of which waits for the other."""

import asyncio
import os
from pathlib import Path
from typing import Any

import headway
from headway.io import JSON

# A named pipe, which opens at one end once the other one is opened too.
MEETING = Path(os.environ["MEETING"])


class Left(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def predict(self, rows: list[int]) -> list[int]:
        MEETING.write_text("")
        return rows


class Right(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def predict(self, rows: list[int]) -> list[int]:
        MEETING.read_text()
        return rows


left = headway.Runner(Left, name="left")
right = headway.Runner(Right, name="right")
svc = headway.Service("pair", runners=[left, right])


@svc.api(input=JSON(), output=JSON())
async def both(rows: list[int]) -> Any:
    return await asyncio.gather(
        left.predict.async_run(rows), right.predict.async_run(rows)
    )
