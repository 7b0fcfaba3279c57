"""A service whose API function makes a span of its own."""

from typing import Any

import numpy as np
from opentelemetry import trace

import headway
from headway.io import JSON


class Doubler(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        return rows * 2


doubler = headway.Runner(Doubler, name="doubler")
svc = headway.Service("traced", runners=[doubler])
tracer = trace.get_tracer(__name__)


@svc.api(input=JSON(), output=JSON())
async def double(value: float) -> Any:
    with tracer.start_as_current_span("a step of the function"):
        return (await doubler.double.async_run(np.array([value])))[0]
