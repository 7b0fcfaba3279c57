"""A service whose answers identify their requests, and APIs that fail."""

import os
import sys
import time
from typing import Any, ClassVar

import msgspec
import numpy as np
import pydantic

import headway
from headway.io import JSON, NumpyNdarray, Text

FRAMEWORK = "wave"
"""A module that only the model imports, as it would import xgboost."""


class Rows(headway.Runnable):
    """Doubles rows; some of its methods refuse some."""

    SUPPORTED_RESOURCES: ClassVar[tuple[str, ...] | str] = ("cpu", "nvidia.com/gpu")

    def __init__(self) -> None:
        __import__(FRAMEWORK)

    @headway.Runnable.method(batchable=True)
    def double(self, rows: Any) -> Any:
        time.sleep(0.002)  # the model's work, while which others queue
        return rows * 2

    @headway.Runnable.method(batchable=True)
    def strict(self, rows: Any) -> Any:
        time.sleep(0.005)
        if (rows < 0).any():
            raise ValueError("a row is negative: secret-of-the-model")
        return rows * 2

    @headway.Runnable.method
    def about(self, names: list[str]) -> dict[str, Any]:
        return about_process(names)


def about_process(names: list[str]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "has_framework": FRAMEWORK in sys.modules,
        "environment": {name: os.environ.get(name) for name in names},
    }


class Applicant(pydantic.BaseModel):
    age: int
    income: float
    name: str = "nobody"


class Point(msgspec.Struct):
    x: float
    y: float


runner = headway.Runner(Rows, name="rows")
svc = headway.Service("rows_service", runners=[runner])
matrix = NumpyNdarray(
    shape=(-1, 4), dtype="float64", enforce_shape=True, enforce_dtype=True
)


@svc.on_startup
def begin(context: headway.Context) -> None:
    context.state["greeting"] = "hello"


@svc.on_shutdown
async def end(context: headway.Context) -> None:
    sys.stderr.write(f"the shutdown hook says {context.state['greeting']}\n")


@svc.api(input=matrix, output=NumpyNdarray())
async def double(rows: Any) -> Any:
    """Return the rows times two."""
    return await runner.double.async_run(rows)


@svc.api(input=matrix, output=NumpyNdarray())
def double_sync(rows: Any) -> Any:
    return runner.double.run(rows)


@svc.api(input=matrix, output=NumpyNdarray())
async def strict(rows: Any) -> Any:
    return await runner.strict.async_run(rows)


@svc.api(input=JSON(pydantic_model=Applicant), output=JSON())
async def decide(applicant: Applicant) -> dict[str, Any]:
    return {"accepted": applicant.income > 1000, "name": applicant.name}


@svc.api
async def mirror(point: Point) -> Point:
    return Point(x=point.y, y=point.x)


@svc.api(input=Text(), output=Text(), route="/v1/shout")
def shout(text: str) -> str:
    return text.upper()


@svc.api(input=NumpyNdarray(), output=JSON())
async def anything(rows: np.ndarray[Any, Any]) -> Any:
    return np.shape(await runner.double.async_run(rows))


@svc.api(input=JSON(), output=JSON())
async def boom(value: Any) -> Any:
    raise RuntimeError("secret-of-the-function")


@svc.api(input=JSON(), output=JSON())
def boom_sync(value: Any) -> Any:
    raise RuntimeError("secret-of-the-function")


@svc.api(input=JSON(), output=JSON())
async def unencodable(value: Any) -> Any:
    return {"value": object()}


@svc.api(input=JSON(), output=JSON())
async def run_on_the_loop(value: Any) -> Any:
    return runner.double.run(np.ones((1, 4)))


@svc.api(input=Text(), output=Text())
async def context(text: str, ctx: headway.Context) -> str:
    ctx.response.status_code = 201
    ctx.response.headers["X-Greeting"] = ctx.state["greeting"]
    return f"{ctx.request.path}?{ctx.request.query} {ctx.request.headers['x-from']}"


@svc.api(input=JSON(), output=JSON())
async def about_worker(names: list[str]) -> dict[str, Any]:
    return about_process(names)


@svc.api(input=JSON(), output=JSON())
async def about_runner(names: list[str]) -> Any:
    return await runner.about.async_run(names)
