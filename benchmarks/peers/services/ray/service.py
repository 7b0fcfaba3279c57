"""Ray Serve: one replica with @serve.batch, in its high-throughput mode (HAProxy)."""

import os
import signal
import sys
import threading
from typing import Any

# Its documentation's settings for high throughput; read when it is imported.
os.environ |= {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import ray
from benchmarks.peers.services.inference import answer_all, load
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment(
    num_replicas=1, max_ongoing_requests=4096, ray_actor_options={"num_cpus": 1}
)
class Model:
    """Answers batches."""

    def __init__(self) -> None:
        self._predict = load()

    @serve.batch(max_batch_size=2048, batch_wait_timeout_s=0.001)
    async def answer(self, bodies: list[bytes]) -> list[Any]:
        """Return the answers to each request of a batch."""
        return answer_all(self._predict, bodies)

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer one request."""
        return JSONResponse(await self.answer(await request.body()))


if __name__ == "__main__":
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Model.bind(), route_prefix="/predict")  # type: ignore[attr-defined]
    over.wait()
    ray.shutdown()
