"""A service whose methods return other numbers of rows than they get."""

import time
from typing import Any

import numpy as np

import headway
from headway.io import JSON


class Misfits(headway.Runnable):
    """Is declared as batchable, in vain."""

    @headway.Runnable.method(batchable=True)
    def first(self, rows: Any) -> Any:
        time.sleep(0.01)  # stands for computing; other calls queue meanwhile
        return rows[:1]

    @headway.Runnable.method(batchable=True)
    def turned(self, rows: Any) -> Any:
        return np.transpose(rows)

    @headway.Runnable.method(batchable=True, batch_dim=(0, 1))
    def upright(self, rows: Any) -> Any:
        return rows

    @headway.Runnable.method(batchable=True)
    def uneven(self, rows: Any) -> Any:
        return {"all": rows, "some": rows[1:]}

    @headway.Runnable.method(batchable=True)
    def listed(self, rows: Any) -> Any:
        return rows.tolist() * 2


runner = headway.Runner(Misfits, name="misfits")
svc = headway.Service("misfits", runners=[runner])


@svc.api(input=JSON(), output=JSON())
async def call(request: dict[str, Any]) -> Any:
    method = getattr(runner, request["method"])
    result = await method.async_run(np.array(request["rows"], "f8"))
    return result.tolist()
