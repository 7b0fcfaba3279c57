"""What does a batch cost its runner, without the model and the system calls?

The runner's own parts serve groups whose model does nothing.
`python -m benchmarks.micro.bench_runner`
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

import headway
from headway.config.resolution import ResolvedConfig
from headway.core.clock import MonotonicClock
from headway.core.method_spec import MethodSpec
from headway.core.run_dir import RunDir
from headway.ipc.call import CallEncoder
from headway.ipc.frames import RESULTS, Buffer, encode_calls, kind_of_frame
from headway.metrics import MetricsRegistry
from headway.runner.executor import InlineExecutor
from headway.server.runner_assembly import RunnerAssembly

_BATCHES = 3000
_REPEATS = 7


class Nothing(headway.Runnable):
    """Returns what it has at hand."""

    def __init__(self) -> None:
        self._classes = np.zeros(4096, np.int64)

    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        """Return zeros."""
        return self._classes[: len(rows)]

    def warmup_samples(self) -> dict[str, tuple[Any, ...]]:
        """Return a row."""
        return {"predict": (np.zeros((1, 4)),)}


class Worker:
    """The API worker's end of a channel: sends the next groups when it is answered."""

    def __init__(self) -> None:
        self.answered = 0
        self.on_answer: Any = None

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Count answers."""
        if kind_of_frame(memoryview(buffers[0])) == RESULTS:
            self.answered += 1
            self.on_answer()

    def close(self) -> None:
        """Do nothing."""


async def _serve(calls: int) -> float:
    """Return the microseconds of one batch of so many calls."""
    loop = asyncio.get_running_loop()
    clock = MonotonicClock()
    registry = MetricsRegistry(None)
    registry.start()
    runner = headway.Runner(Nothing, name="nothing")
    assembly = RunnerAssembly(
        process="bench",
        service=headway.Service("bench", runners=[runner]),
        config=ResolvedConfig(),
        registry=registry,
        run_dir=RunDir(path=Path()),
    )
    dispatcher, receiver = assembly.dispatcher(runner)
    isolation, costs = assembly.load(runner)
    dispatcher.seed(costs)
    dispatcher.add_replica(InlineExecutor(isolation=isolation))
    worker = Worker()
    receiver.channel_opened(worker)
    row = np.array([[5.1, 3.5, 1.4, 0.2]])
    encoder = CallEncoder()
    call = encoder.encode(MethodSpec("predict", batchable=True), (row,), {})
    number = 0

    def receive() -> None:
        nonlocal number
        number += 1
        now = clock.now()
        frame = encode_calls(
            group_id=number,
            key=call.key,
            rows=[1] * calls,
            sizes=(),
            parts=list(call.parts) * calls,
            payload_bytes=call.nbytes * calls,
            priority=5,
            deadline=now + 60,
            sent_at=now,
        )
        receiver.frame_received(worker, memoryview(b"".join(frame)))

    done = asyncio.Event()

    def on_answer() -> None:
        if worker.answered % _BATCHES:
            loop.call_soon(receive)
        else:
            done.set()

    worker.on_answer = on_answer
    took = []
    for _ in range(_REPEATS):
        done.clear()
        began = time.process_time()
        loop.call_soon(receive)
        await done.wait()
        took.append((time.process_time() - began) / _BATCHES * 1e6)
    dispatcher.close()
    return min(took)


def main() -> None:
    """Run it."""
    for calls in (1, 32, 512):
        microseconds = uvloop.run(_serve(calls))
        print(f"batches of {calls:3d} calls: {microseconds:.1f} us each")


if __name__ == "__main__":
    main()
