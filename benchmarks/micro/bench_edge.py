"""What does a request cost an API worker, without its system calls?

The worker's own parts serve requests from transports that drop the answers; the runner
is a channel that answers at once. Refused requests would be late by its backlog.
`python -m benchmarks.micro.bench_edge`
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop

import headway
from headway.api.admission import DeadlineWatch
from headway.api.application import ApiApplication
from headway.api.endpoint import Endpoint
from headway.api.runner_client import RunnerClient
from headway.api.thread_pool import ThreadPool
from headway.config.resolution import ResolvedConfig
from headway.config.schema import ApiServerConfig, HeadwayConfig
from headway.core.clock import MonotonicClock
from headway.core.run_dir import RunDir
from headway.http.connection import Connection
from headway.http.request import Application, TelemetryApplication
from headway.http.server_state import ServerState
from headway.io import NumpyNdarray
from headway.ipc.frames import (
    Buffer,
    FrameCutter,
    decode_calls,
    encode_record_frame,
    encode_results,
)
from headway.ipc.records import ReadyFrame, ResultsFrame
from headway.ipc.rows import encode_array
from headway.metrics import Counter, MetricsRegistry
from headway.metrics.families import REFUSED, WASTED_ROWS
from headway.metrics.meters import EndpointMeters
from headway.server.assembly import Assembly

_BODY = b"[[5.1,3.5,1.4,0.2]]"
_REQUEST = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_BODY), _BODY)
)
_HOURS_S = 10_000.0
_TURNS = 300
_REPEATS = 7


class _Runnable(headway.Runnable):
    @headway.Runnable.method(batchable=True)
    def predict(self, rows: Any) -> Any:
        return rows


class _Transport:
    """Counts answers."""

    def __init__(self) -> None:
        self.answered = 0
        self.on_answer: Any = None

    def write(self, data: bytes) -> None:
        self.answered += 1
        self.on_answer()

    def is_closing(self) -> bool:
        return False


class _Runner:
    """A channel whose other end answers each group in the next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queue_delay_s: float) -> None:
        self._loop = loop
        self._queue_delay_s = queue_delay_s
        self.client: RunnerClient | None = None

    def send(self, buffers: Sequence[Buffer]) -> None:
        self._loop.call_soon(self._answer, b"".join(buffers))

    def close(self) -> None:
        pass

    def _answer(self, data: bytes) -> None:
        assert self.client is not None
        for frame in FrameCutter().feed(data):
            calls = decode_calls(frame)
            key, raw = encode_array(np.zeros(sum(calls.rows), np.int64), 0)
            results = encode_results(
                ResultsFrame(
                    group_id=calls.group_id,
                    first=0,
                    calls=len(calls.rows),
                    key=key,
                    sizes=(),
                    queue_delay_s=self._queue_delay_s,
                    row_s=0.0,
                    queue_s=0.0,
                    compute_s=0.0,
                    batch_rows=sum(calls.rows),
                    payload=memoryview(raw),
                )
            )
            self.client.frame_received(self, memoryview(b"".join(results)))


def _application(
    loop: asyncio.AbstractEventLoop,
    queue_delay_s: float,
    config: HeadwayConfig,
) -> Application:
    registry = MetricsRegistry(None)
    registry.start()

    def refused(reason: str) -> Counter:
        return registry.counter(REFUSED, (reason,))

    clock = MonotonicClock()
    runner = headway.Runner(_Runnable, name="model")
    service = headway.Service("edge", runners=[runner])

    @service.api(input=NumpyNdarray(shape=(-1, 4)), output=NumpyNdarray())
    async def predict(rows: Any) -> Any:
        return await runner.predict.async_run(rows)

    channel = _Runner(loop, queue_delay_s)
    watch = DeadlineWatch(clock=clock, loop=loop)
    client = RunnerClient(
        name="model",
        timeout_s=300.0,
        max_bytes=2**30,
        watch=watch,
        wasted_rows=registry.counter(WASTED_ROWS, ("model",)),
        refused=refused,
    )
    channel.client = client
    client.channel_opened(channel)
    client.frame_received(
        channel, memoryview(encode_record_frame(ReadyFrame("model", 1)))
    )
    runner.attach(client)
    endpoint = Endpoint(
        api=service.apis["predict"],
        timeout_s=60.0,
        limit=None,
        watch=watch,
        pool=ThreadPool(threads=1, refused=refused("threads")),
        meters=EndpointMeters(registry=registry, endpoint="/predict", loop=loop),
        state={},
    )
    application = ApiApplication(endpoints={"/predict": endpoint}, pages={}, loop=loop)
    assembly = Assembly(
        process="bench",
        service=service,
        config=ResolvedConfig(config=config),
        registry=registry,
        run_dir=RunDir(path=Path()),
    )
    telemetry = assembly.telemetry()
    if telemetry is None:
        return application
    if assembly.tracing is not None:
        assembly.tracing.start()
    if telemetry.access_log is not None:
        telemetry.access_log.start()
    return TelemetryApplication(application=application, telemetry=telemetry)


class Bench:
    """A worker's parts, and connections that send their requests together.

    Args:
        connections: How many.
        queue_delay_s: The runner's; requests that are due before are refused.
        config: Says what to record of requests.
    """

    def __init__(
        self,
        connections: int,
        *,
        queue_delay_s: float = 0.0,
        config: HeadwayConfig | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        state = ServerState(
            application=_application(
                self._loop, queue_delay_s, config or HeadwayConfig()
            ),
            config=ApiServerConfig(),
            now=time.monotonic,
            on_close=lambda: None,
        )
        self._open = 0
        self._done = asyncio.Event()
        self._protocols = []
        for _ in range(connections):
            transport = _Transport()
            transport.on_answer = self._answered
            protocol = Connection(state)
            protocol.connection_made(cast("asyncio.BaseTransport", transport))
            self._protocols.append(protocol)

    def _answered(self) -> None:
        self._open -= 1
        if not self._open:
            self._done.set()

    def _receive(self) -> None:
        for protocol in self._protocols:
            protocol.data_received(_REQUEST)

    async def turns(self, count: int) -> float:
        """Return the microseconds that one request takes."""
        connections = len(self._protocols)
        began = time.process_time()
        for _ in range(count):
            self._open = connections
            self._done.clear()
            self._loop.call_soon(self._receive)
            await self._done.wait()
        return (time.process_time() - began) / count / connections * 1e6


async def _serve(connections: int, queue_delay_s: float) -> float:
    """Return the microseconds of one request."""
    bench = Bench(connections, queue_delay_s=queue_delay_s)
    return min([await bench.turns(_TURNS) for _ in range(_REPEATS)])


def main() -> None:
    """Run it."""
    for connections in (1, 64, 512):
        answered, refused = (
            uvloop.run(_serve(connections, queue_delay_s))
            for queue_delay_s in (0.0, _HOURS_S)
        )
        print(
            f"{connections:4d} requests a turn: {answered:.2f} us each, "
            f"{refused:.2f} us if refused"
        )


if __name__ == "__main__":
    main()
