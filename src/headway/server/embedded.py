"""`headway serve` without --production: API worker and runners in one process.

cli/serve runs it, and asgi_app starts it for other ASGI servers. The queue, the
scheduler and the frames are those of production; only the transport is in-process, and
each model computes in a thread.
"""

import asyncio
import signal
import socket
from collections.abc import Callable

from headway.api.worker import ApiWorker
from headway.config.resolution import ResolvedConfig
from headway.core.clock import MonotonicClock
from headway.core.gc_tuning import tune_gc
from headway.core.run_dir import RunDir
from headway.metrics import MetricsRegistry
from headway.observability.live.recorder import Recorder
from headway.server.assembly import Assembly
from headway.server.placement import describe, warn_of_ignored
from headway.server.sockets import (
    allow_connections,
    bind_http,
    refuse_handshakes,
    url_of,
)
from headway.service.service import ServiceDefinition


class EmbeddedServer:
    """A server of one process.

    Args:
        service: The service.
        config: Its settings.
    """

    def __init__(self, *, service: ServiceDefinition, config: ResolvedConfig) -> None:
        self._service = service
        self._config = config
        self._run_dir = run_dir = RunDir.create()
        self._registry = MetricsRegistry(
            run_dir.metrics_file("embedded"),
            duration_bounds_s=config.config.api_server.metrics.duration_buckets_s,
        )
        self._recorder = Recorder(
            run_dir=run_dir,
            runners=[runner.name for runner in service.runners],
            clock=MonotonicClock(),
        )
        self._worker: ApiWorker | None = None

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Args:
            announce: Called with the line that has the server's address.

        Raises:
            StartError: If the server cannot start.
        """
        allow_connections()
        settings = self._config.config.api_server
        try:
            listener = bind_http(settings.host, settings.port)
            worker = self.load(listener)
            # Only now: while the models load, a signal ends the process at once.
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            await worker.start()
            await worker.wait_ready()
            tune_gc()
            url = url_of(listener, settings)
            announce(
                f"{self._service.name} is ready at {url} "
                "(one process; --production serves with several)"
            )
            await stop.wait()
            refuse_handshakes(listener)
            await worker.drain(settings.shutdown_timeout_s)
        finally:
            await self.aclose()

    def load(self, listener: socket.socket | None) -> ApiWorker:
        """Load the models, and return the API worker that is connected to them.

        Args:
            listener: Bound; None if another ASGI server serves the worker.

        Raises:
            StartError: If a model cannot be loaded or warmed, or a setting not be kept.
        """
        self._registry.start()
        if self._config.config.api_server.live:
            self._recorder.start()
        for runner in describe(self._service).runners:
            warn_of_ignored(runner, self._config.runner(runner.name))
        assembly = Assembly(
            process="embedded",
            service=self._service,
            config=self._config,
            registry=self._registry,
            run_dir=self._run_dir,
        )
        self._worker = assembly.embedded_api_worker(listener)
        return self._worker

    async def aclose(self) -> None:
        """Close everything, and release the models."""
        if self._worker is not None:
            await self._worker.aclose()
        await self._recorder.aclose()
        self._registry.close()
        self._run_dir.remove()
