"""A model and an API function that keep their arrays and notice later changes."""

from typing import Any
from zlib import crc32

import numpy as np

import headway
from headway.io import JSON, NumpyNdarray

_KEPT = 40


class Hoard:
    """Keeps the last arrays, with copies of their first content."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, int]] = []

    def add(self, array: Any) -> None:
        self._kept.append((array, _sum(array)))
        del self._kept[:-_KEPT]

    def spoiled(self) -> int:
        """Return how many have changed."""
        return sum(_sum(array) != before for array, before in self._kept)


def _sum(array: Any) -> int:
    return crc32(np.ascontiguousarray(array).data)


class Hoarder(headway.Runnable):
    """Keeps its inputs and, having answered, writes to some of them."""

    def __init__(self) -> None:
        self._hoard = Hoard()

    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        self._hoard.add(rows)
        return 2 * rows

    @headway.Runnable.method(batchable=True)
    def overwrite(self, rows: Any) -> Any:
        if np.isnan(rows).any():
            rows[:] = 0
            raise ValueError("no number")
        rows *= 2
        return rows

    @headway.Runnable.method
    def whole(self, rows: Any) -> Any:
        self._hoard.add(rows)
        return {"doubled": 2 * rows}

    @headway.Runnable.method
    def spoiled(self) -> int:
        return self._hoard.spoiled()


runner = headway.Runner(Hoarder, name="hoarder")
svc = headway.Service("hoard", runners=[runner])
hoard = Hoard()


@svc.api(input=NumpyNdarray(), output=NumpyNdarray())
async def double(rows: Any) -> Any:
    result = await runner.double.async_run(rows)
    hoard.add(result)
    return result


@svc.api(input=NumpyNdarray(), output=NumpyNdarray())
async def overwrite(rows: Any) -> Any:
    return await runner.overwrite.async_run(rows)


@svc.api(input=NumpyNdarray(), output=NumpyNdarray())
async def whole(rows: Any) -> Any:
    result = (await runner.whole.async_run(rows))["doubled"]
    hoard.add(result)
    return result


@svc.api(output=JSON())
async def spoiled() -> list[int]:
    return [hoard.spoiled(), await runner.spoiled.async_run()]
