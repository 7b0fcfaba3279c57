"""Wires the telemetry of requests: ids, Server-Timing, the access log, traces.

server/assembly calls it. Only telemetry that the settings enable is built.
"""

import asyncio
import os
import secrets
from collections.abc import Collection

from headway.config.schema import HeadwayConfig
from headway.core.clock import Clock
from headway.metrics import MetricsRegistry
from headway.metrics.families import ACCESS_LOG_DROPPED
from headway.observability.access_log import AccessLog
from headway.observability.telemetry import RequestSpans, Telemetry
from headway.observability.trace_context import sampling_of
from headway.observability.tracing import Tracing

__all__ = ["build_telemetry", "build_tracing"]

_PREFIX_BYTES = 5


def build_tracing(
    *, config: HeadwayConfig, service: str, process: str, clock: Clock
) -> Tracing | None:
    """Return the maker of spans of a process; None if the settings enable none."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or not config.tracing.enabled:
        return None
    return Tracing(config=config.tracing, service=service, process=process, clock=clock)


def build_telemetry(
    *,
    config: HeadwayConfig,
    routes: Collection[str],
    tracing: Tracing | None,
    registry: MetricsRegistry,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Telemetry | None:
    """Return the telemetry of requests; None if the settings enable none.

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
        dropped = registry.counter(ACCESS_LOG_DROPPED, ())
        access_log = AccessLog(loop=loop, dropped=dropped)
    return Telemetry(
        clock=clock,
        id_prefix=secrets.token_hex(_PREFIX_BYTES) if has_ids else None,
        access_log=access_log,
        shows_timing=settings.server_timing,
        spans=spans,
    )
