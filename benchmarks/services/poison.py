"""The forest on iris, and two of its kind that raise on rows that begin with -1.

The forest itself raises on numbers beyond 32-bit floats, before it computes.
"""

from typing import Any

import headway
from benchmarks.services.models import Forest
from headway.io import NumpyNdarray


class Before(Forest):
    """Raises before it computes."""

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the class of each row."""
        _refuse(rows)
        return self.model.predict(rows)


class After(Forest):
    """Raises after it has computed."""

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the class of each row."""
        classes = self.model.predict(rows)
        _refuse(rows)
        return classes


def _refuse(rows: Any) -> None:
    if (rows[:, 0] == -1).any():
        raise ValueError("a row begins with -1")


before_runner = headway.Runner(Before, name="before")
after_runner = headway.Runner(After, name="after")

before = headway.Service("before", runners=[before_runner])
after = headway.Service("after", runners=[after_runner])


@before.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray(), name="predict")
async def predict_before(rows: Any) -> Any:
    """Classify flowers."""
    return await before_runner.predict.async_run(rows)


@after.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray(), name="predict")
async def predict_after(rows: Any) -> Any:
    """Classify flowers."""
    return await after_runner.predict.async_run(rows)
