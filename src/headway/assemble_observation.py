"""Wires what is noted of requests: names, times, the access log.

assemble calls it. Without a setting that asks for any of this, nothing of it is built.
"""

import asyncio
import secrets

from headway.api.access_log import AccessLog
from headway.api.access_writer import AccessWriter
from headway.api.handler import Endpoint
from headway.api.observation import Observation
from headway.api.observed_client import ObservedClient
from headway.api.observed_task import ObservedEndpoint
from headway.api.request_ids import RequestIds
from headway.api.runner_client import RunnerClient
from headway.clock import Clock
from headway.config.schema import HeadwayConfig
from headway.metrics import MetricsRegistry
from headway.metrics.families import ACCESS_LOG_DROPPED

__all__ = ["build_observation", "client_type", "endpoint_type"]

_PREFIX_BYTES = 5


def client_type(config: HeadwayConfig) -> type[RunnerClient]:
    """Return what carries calls: with notes of each, if anybody reads them."""
    return ObservedClient if config.api_server.server_timing else RunnerClient


def endpoint_type(config: HeadwayConfig) -> type[Endpoint]:
    """Return what serves functions: with notes of each run, if anybody reads them."""
    return ObservedEndpoint if config.api_server.server_timing else Endpoint


def build_observation(
    *,
    config: HeadwayConfig,
    registry: MetricsRegistry,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
) -> Observation | None:
    """Return what is noted of each request; None if that is nothing."""
    settings, access = config.api_server, config.logging.access
    has_ids = settings.request_ids or access
    if not (has_ids or settings.server_timing):
        return None
    access_log = None
    if access:
        writer = AccessWriter(dropped=registry.counter(ACCESS_LOG_DROPPED, ()))
        access_log = AccessLog(writer=writer, loop=loop)
    return Observation(
        clock=clock,
        ids=RequestIds(secrets.token_hex(_PREFIX_BYTES)) if has_ids else None,
        access_log=access_log,
        shows_timing=settings.server_timing,
    )
