"""A service with a slow model, which counts the requests that it began to serve."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import headway
from headway.io import JSON

BATCH_S = 0.02


class Crawler(headway.Runnable):
    """Takes its time."""

    @headway.Runnable.method(batchable=True)
    def crawl(self, rows: list[int]) -> list[int]:
        time.sleep(BATCH_S)
        return [2 * row for row in rows]

    @headway.Runnable.method
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @headway.Runnable.method
    def hold(self, gate: str) -> str:
        """Compute until a named pipe has been opened and closed."""
        return Path(gate).read_text()


runner = headway.Runner(Crawler, name="crawler")
svc = headway.Service("crawl", runners=[runner])


@svc.on_startup
def begin(context: headway.Context) -> None:
    context.state["begun"] = 0


@svc.on_shutdown
def end(context: headway.Context) -> None:
    sys.stderr.write(f"begun: {context.state['begun']}\n")


@svc.api(input=JSON(), output=JSON())
async def crawl(rows: list[int], context: headway.Context) -> Any:
    context.state["begun"] += 1
    return await runner.crawl.async_run(rows)


@svc.api(input=JSON(), output=JSON())
def crawl_sync(rows: list[int]) -> Any:
    return runner.crawl.run(rows)


@svc.api(input=JSON(), output=JSON())
async def nap(seconds: float) -> Any:
    return await runner.nap.async_run(seconds)


@svc.api(input=JSON(), output=JSON())
async def hold(gate: str) -> Any:
    return await runner.hold.async_run(gate)


@svc.api(input=JSON(), output=JSON())
async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@svc.api(input=JSON(), output=JSON())
def block(gate: str) -> str:
    return Path(gate).read_text()


@svc.api(output=JSON())
async def pid() -> int:
    return os.getpid()
