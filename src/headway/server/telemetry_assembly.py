"""Wires what is noted of requests: names, times, the access log, traces.

assemble calls it. Without a setting that asks for any of this, nothing of it is built.
"""

import asyncio
import os
import secrets
from collections.abc import Collection

from headway.api.access_log import AccessLog
from headway.api.access_writer import AccessWriter
from headway.api.endpoint import Endpoint
from headway.api.observed_client import ObservedClient
from headway.api.observed_task import ObservedEndpoint
from headway.api.request_ids import RequestIds
from headway.api.request_spans import RequestSpans
from headway.api.runner_client import RunnerClient
from headway.api.telemetry import Telemetry
from headway.config.schema import HeadwayConfig
from headway.core.clock import Clock
from headway.metrics import MetricsRegistry
from headway.metrics.families import ACCESS_LOG_DROPPED
from headway.observability.sampling import sampling_of
from headway.observability.tracing import Tracing

__all__ = ["build_observation", "build_tracing", "client_type", "endpoint_type"]

_PREFIX_BYTES = 5


def build_tracing(
    *, config: HeadwayConfig, service: str, process: str, clock: Clock
) -> Tracing | None:
    """Return what makes spans in a process; None if there are to be none."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or not config.tracing.enabled:
        return None
    return Tracing(config=config.tracing, service=service, process=process, clock=clock)


def client_type(config: HeadwayConfig) -> type[RunnerClient]:
    """Return what carries calls: with notes of each, if anybody reads them."""
    return ObservedClient if _notes_stages(config) else RunnerClient


def endpoint_type(config: HeadwayConfig) -> type[Endpoint]:
    """Return what serves functions: with notes of each run, if anybody reads them."""
    return ObservedEndpoint if _notes_stages(config) else Endpoint


def _notes_stages(config: HeadwayConfig) -> bool:
    return config.api_server.server_timing or config.tracing.enabled


def build_observation(
    *,
    config: HeadwayConfig,
    routes: Collection[str],
    tracing: Tracing | None,
    registry: MetricsRegistry,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Telemetry | None:
    """Return what is noted of each request; None if that is nothing.

    Raises:
        ConfigError: If a variable of OpenTelemetry is wrong.
    """
    settings, access = config.api_server, config.logging.access
    has_ids = settings.request_ids or access
    if not (has_ids or settings.server_timing or tracing):
        return None
    spans = None
    if tracing is not None:
        sampling = sampling_of(config.tracing.sample_ratio, os.environ)
        spans = RequestSpans(tracing=tracing, sampling=sampling, routes=routes)
    access_log = None
    if access:
        writer = AccessWriter(dropped=registry.counter(ACCESS_LOG_DROPPED, ()))
        access_log = AccessLog(writer=writer, loop=loop)
    return Telemetry(
        clock=clock,
        ids=RequestIds(secrets.token_hex(_PREFIX_BYTES)) if has_ids else None,
        access_log=access_log,
        shows_timing=settings.server_timing,
        spans=spans,
    )
