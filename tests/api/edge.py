"""An endpoint of a real API worker's parts, and requests that come to it."""

import asyncio
from collections import Counter as Tally
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from headway.api.admission import ConcurrencyLimit, DeadlineWatch
from headway.api.application import ApiApplication
from headway.api.endpoint import Endpoint
from headway.api.thread_pool import ThreadPool
from headway.config.schema import ApiServerConfig
from headway.core.clock import Clock, MonotonicClock
from headway.http.head import HeadParser
from headway.http.request import Request, TelemetryApplication
from headway.io import JSON
from headway.metrics import Counter, MetricsRegistry
from headway.metrics.families import REFUSED
from headway.metrics.meters import EndpointMeters
from headway.observability.request_trace import Telemetry
from headway.service.api import Api

__all__ = ["Edge"]


class Edge:
    """Serves one function, counts the answers by status, and keeps the last bodies.

    Args:
        function: What the API does.
        timeout_s: Seconds that each request has.
        clock: Stamps requests.
        max_concurrency: Requests served at once.
        traced: Whether requests have traces.
    """

    def __init__(
        self,
        function: Callable[[Any], Awaitable[Any]],
        *,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        max_concurrency: int = 1_000_000,
        traced: bool = False,
    ) -> None:
        self.clock = clock or MonotonicClock()
        self.statuses: Tally[int] = Tally()
        self.bodies: deque[bytes] = deque(maxlen=10)
        self._open = 0
        self._answered = asyncio.Event()
        self._registry = MetricsRegistry(None)
        self._registry.start()
        loop = asyncio.get_running_loop()
        self.watch = DeadlineWatch(clock=self.clock, loop=loop)
        self.limit = ConcurrencyLimit(most=max_concurrency, refused=self._refused)
        self._pool = ThreadPool(threads=1, refused=self._refused("threads"))
        self.endpoint = Endpoint(
            api=Api(
                name="predict",
                route="/predict",
                function=function,
                input=JSON(),
                output=JSON(),
                doc="",
            ),
            timeout_s=timeout_s,
            limit=self.limit,
            watch=self.watch,
            pool=self._pool,
            meters=EndpointMeters(
                registry=self._registry, endpoint="/predict", loop=loop
            ),
            state={},
        )
        self._handle = self.endpoint.handle
        if traced:
            self._handle = self._telemetry_application().handle

    def _telemetry_application(self) -> TelemetryApplication:
        application = ApiApplication(
            endpoints={"/predict": self.endpoint},
            pages={},
            loop=asyncio.get_running_loop(),
        )
        telemetry = Telemetry(
            clock=self.clock,
            id_prefix="edge",
            access_log=None,
            shows_timing=True,
        )
        return TelemetryApplication(application=application, telemetry=telemetry)

    def _refused(self, reason: str) -> Counter:
        return self._registry.counter(REFUSED, (reason,))

    def send(self, body: bytes, headers: bytes = b"") -> Request:
        """Let a request come; `statuses` has its answer in the end."""
        lines = b"POST /predict HTTP/1.1\r\nhost: a\r\n" + headers + b"\r\n"
        head = HeadParser(ApiServerConfig()).parse(lines)
        now = self.clock.now()
        request = Request(self, head, "POST", "/predict", body, now)
        self._open += 1
        self._handle(request)
        return request

    def hang_up(self, request: Request) -> None:
        """Let the client of a request go, which was not answered."""
        request.hang_up()
        self._open -= 1

    def send_response(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """Note an answer; the endpoint's."""
        self.statuses[status] += 1
        self.bodies.append(body)
        self._open -= 1
        self._answered.set()

    async def answered(self) -> None:
        """Return once every request was answered."""
        async with asyncio.timeout(10):
            while self._open:
                self._answered.clear()
                await self._answered.wait()

    def close(self) -> None:
        """Give back the timer and the thread."""
        self.watch.close()
        self._pool.close()
