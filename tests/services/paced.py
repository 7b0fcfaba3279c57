"""A slow model, a failing model, and a model that no process can load."""

import time
from typing import Any

import headway
from headway.io import JSON


class Paced(headway.Runnable):
    @headway.Runnable.method
    def work(self, value: Any) -> Any:
        time.sleep(0.004)
        return value


class Failing(headway.Runnable):
    @headway.Runnable.method
    def work(self, value: Any) -> Any:
        raise ValueError("always")


class Unloadable(headway.Runnable):
    def __init__(self) -> None:
        raise RuntimeError("no weights")

    @headway.Runnable.method
    def work(self, value: Any) -> Any:
        return value


def serve(kind: type[headway.Runnable]) -> headway.Service:
    runner = headway.Runner(kind, name="model")
    service = headway.Service("paced", runners=[runner])

    @service.api(input=JSON.from_sample(1), output=JSON())
    async def ask(value: Any) -> Any:
        return await runner.work.async_run(value)

    return service


paced = serve(Paced)
failing = serve(Failing)
unloadable = serve(Unloadable)
