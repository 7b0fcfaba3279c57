"""A service with methods of all kinds for `headway check`; it loads nothing."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

import headway


class Methods(headway.Runnable):
    """Those that $METHODS names have a sample."""

    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        return rows * 2

    @headway.Runnable.method(batchable=True)
    def centre(self, rows: Any) -> Any:
        return rows - rows.mean(axis=0)

    @headway.Runnable.method(batchable=True)
    def first(self, rows: Any) -> Any:
        return rows[:1]

    @headway.Runnable.method
    def whole(self, rows: Any) -> Any:
        return rows

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        names = os.environ["METHODS"].split()
        return {name: (np.array([[1.5, 2.0]]),) for name in names}


class Unloadable(headway.Runnable):
    """Its model is missing."""

    def __init__(self) -> None:
        raise OSError("the weights are not there")

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        return rows


svc = headway.Service("checked", runners=[headway.Runner(Methods, name="model")])
broken = headway.Service(
    "broken", runners=[headway.Runner(Unloadable, name="unloadable")]
)
bare = headway.Service("bare")
