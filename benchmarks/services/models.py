"""Iris with a random forest and logistic regression, and two slow models."""

import asyncio
import time
from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import headway
from headway.io import JSON, NumpyNdarray

ROW = np.array([[5.1, 3.5, 1.4, 0.2]])


class _Iris(headway.Runnable):
    model: Any

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the class of each row."""
        return self.model.predict(rows)

    def warmup_samples(self) -> dict[str, tuple[Any, ...]]:
        """Return one flower."""
        return {"predict": (ROW,)}


class Forest(_Iris):
    """100 trees: a call costs about the same at any batch size."""

    def __init__(self) -> None:
        self.model = RandomForestClassifier(100, random_state=0).fit(
            *load_iris(return_X_y=True)
        )


class Logistic(_Iris):
    """A call costs about 0.1 ms."""

    def __init__(self) -> None:
        self.model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))


class Slow(headway.Runnable):
    """A call takes 50 ms."""

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the rows."""
        time.sleep(0.05)
        return rows


forest_runner = headway.Runner(Forest, name="forest")
logistic_runner = headway.Runner(Logistic, name="logistic")
left_runner = headway.Runner(Slow, name="left")
right_runner = headway.Runner(Slow, name="right")

forest = headway.Service("forest", runners=[forest_runner])
logistic = headway.Service("logistic", runners=[logistic_runner])
pair = headway.Service("pair", runners=[left_runner, right_runner])
slow = headway.Service("slow", runners=[left_runner])


@forest.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray(), name="predict")
async def predict_forest(rows: Any) -> Any:
    """Classify flowers by the forest."""
    return await forest_runner.predict.async_run(rows)


@logistic.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray(), name="predict")
async def predict_logistic(rows: Any) -> Any:
    """Classify flowers by logistic regression."""
    return await logistic_runner.predict.async_run(rows)


@slow.api(input=NumpyNdarray(), output=NumpyNdarray(), name="predict")
async def predict_slow(rows: Any) -> Any:
    """Return the rows after 50 ms."""
    return await left_runner.predict.async_run(rows)


@pair.api(input=NumpyNdarray(), output=JSON(), name="predict")
async def predict_pair(rows: Any) -> Any:
    """Await two models together."""
    left, right = await asyncio.gather(
        left_runner.predict.async_run(rows), right_runner.predict.async_run(rows)
    )
    return {"left": left, "right": right}
