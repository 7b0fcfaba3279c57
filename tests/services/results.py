"""A service whose model returns results of any kind, also kinds that cannot be sent."""

import ctypes
import sys
import time
from typing import Any

import numpy as np

import headway
from headway.io import JSON


class Refuses:
    """An object that raises an exception of its own when it is pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("not to be pickled")


class RefusesToReturn:
    """An object that raises when it is unpickled."""

    def __reduce__(self) -> Any:
        return (int, ("no number",))


def _nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def make(kind: str, rows: int) -> Any:
    """Return a result of a kind for this many rows."""
    results: dict[str, Any] = {
        "none": lambda: None,
        "scalar": lambda: 1.5,
        "zero-dimensional": lambda: np.array(1.5),
        "too few": lambda: np.zeros(max(rows - 1, 0)),
        "too many": lambda: [0] * (rows + 1),
        "generator": lambda: (i for i in range(rows)),
        "refuses": lambda: [Refuses()] * rows,
        "refuses to return": lambda: [RefusesToReturn()] * rows,
        "pointer": lambda: [ctypes.pointer(ctypes.c_int(1))] * rows,
        "nested": lambda: [_nested()] * rows,
        "module": lambda: [sys] * rows,
        "strings": lambda: np.array(["abc"] * rows),
        "empty rows": lambda: np.zeros((rows, 0)),
        "objects": lambda: np.array([{"a": 1}] * rows, dtype=object),
        "dates": lambda: np.array(["2026-01-01"] * rows, "datetime64[D]"),
        "records": lambda: np.zeros(rows, [("a", "i4"), ("b", "f8")]),
        "pair": lambda: (np.zeros(rows), [1] * rows),
        "mapping": lambda: {"a": np.zeros(rows), "b": ["x"] * rows},
        "as wide as the batch": lambda: np.zeros((rows, rows)),
    }
    return results[kind]()


def make_each(kinds: list[str]) -> Any:
    """Return a row for each kind; "refuses" is one that cannot be sent."""
    return [Refuses() if kind == "refuses" else kind for kind in kinds]


class Maker(headway.Runnable):
    """Returns a result of the kind that the rows name."""

    @headway.Runnable.method(batchable=True)
    def batched(self, kinds: list[str]) -> Any:
        return make(kinds[0], len(kinds))

    @headway.Runnable.method(batchable=True)
    def each(self, kinds: list[str]) -> Any:
        time.sleep(0.01)
        return make_each(kinds)

    @headway.Runnable.method
    def alone(self, kinds: list[str]) -> Any:
        return make(kinds[0], len(kinds))


runner = headway.Runner(Maker, name="maker", max_batch_size=8)
svc = headway.Service("results", runners=[runner])


@svc.api(input=JSON(), output=JSON())
async def batched(kinds: list[str]) -> Any:
    return await runner.batched.async_run(kinds)


@svc.api(input=JSON(), output=JSON())
async def each(kinds: list[str]) -> Any:
    return await runner.each.async_run(kinds)


@svc.api(input=JSON(), output=JSON())
async def alone(kinds: list[str]) -> Any:
    return await runner.alone.async_run(kinds)


@svc.api(input=JSON(), output=JSON())
async def pointer(value: int) -> Any:
    """Call the model with an argument that cannot be pickled."""
    return await runner.alone.async_run([Refuses()])


@svc.api(input=JSON(), output=JSON())
async def unreadable(value: int) -> Any:
    """Call the model with an argument that cannot be unpickled."""
    return await runner.alone.async_run([RefusesToReturn()])


@svc.api(input=JSON(), output=JSON())
async def unreadable_rows(rows: int) -> Any:
    return await runner.batched.async_run([RefusesToReturn()] * rows)
