"""A service that cannot start, in the way that $FAULT names."""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import headway

FAULT = os.environ.get("FAULT", "")

if FAULT == "import":
    raise RuntimeError("the import raised")
if FAULT == "missing model":
    headway.models.get("no_such_model:latest")


class Fragile(headway.Runnable):
    """Fails at the place that FAULT names."""

    def __init__(self) -> None:
        if FAULT == "load":
            raise OSError("the weights are not there")
        if FAULT == "exit":
            os._exit(7)
        if FAULT == "hang":
            threading.Event().wait()
        if FAULT == "gate":
            # A named pipe opens once its other end does.
            Path(os.environ["GATE"]).read_text()

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        if FAULT == "warm":
            raise TypeError("the sample does not fit")
        if FAULT == "rows":
            return rows * 2
        if FAULT == "slow":
            time.sleep(0.03)
        return rows

    def warmup_samples(self) -> Mapping[str, tuple[Any, ...]]:
        return {"predict": ([1],)}


runner = headway.Runner(Fragile, name="fragile")
other = headway.Runner(Fragile, name="other")
svc = headway.Service(
    "faults", runners=[runner, other] if FAULT == "hang" else [runner]
)


@svc.api
async def predict(rows: list[int]) -> list[int]:
    result: list[int] = await runner.predict.async_run(rows)
    return result


@svc.on_startup
def begin() -> None:
    if FAULT == "hook":
        raise LookupError("the hook found nothing")
