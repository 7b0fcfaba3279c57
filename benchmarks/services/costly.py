"""An API without a model that uses 0.5 ms of CPU and returns its process id."""

import os
import time

import headway

svc = headway.Service("costly")
_COST_S = 0.0005


@svc.api
async def predict(value: int) -> list[int]:
    """Return the value and the process."""
    end = time.thread_time() + _COST_S
    while time.thread_time() < end:
        pass
    return [value, os.getpid()]
