"""The forest on iris; its calls can be slowed down while it serves."""

from typing import Any

import headway
from benchmarks.services.models import Forest
from headway.io import JSON, NumpyNdarray


class Changing(Forest):
    """Computes each batch `times` times."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 1

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return the class of each row."""
        for _ in range(self.times - 1):
            self.model.predict(rows)
        return self.model.predict(rows)

    @headway.Runnable.method
    def slow_down(self, times: int) -> int:
        """Multiply the time of each batch from now on."""
        self.times = times
        return times


runner = headway.Runner(Changing, name="changing")
svc = headway.Service("changing", runners=[runner])


@svc.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray(), name="predict")
async def predict(rows: Any) -> Any:
    """Classify flowers."""
    return await runner.predict.async_run(rows)


@svc.api(input=JSON(), output=JSON(), name="slow_down")
async def slow_down(times: Any) -> Any:
    """Make the model slower."""
    return await runner.slow_down.async_run(times)
