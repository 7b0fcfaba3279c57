"""What must hold between settings, beyond each one's own type and bounds.

resolve asks for the faults of what it has resolved.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite

from headway.config.schema import (
    ApiServerConfig,
    BatchingConfig,
    RestartConfig,
    RunnerConfig,
)

__all__ = ["Fault", "api_server_faults", "runner_faults"]

Fault = tuple[tuple[str, ...], str]
"""Keys that do not fit one another, below the section, and the rule that they break."""


def api_server_faults(config: ApiServerConfig) -> Iterator[Fault]:
    """Yield what is wrong with `api_server`."""
    bounds = config.metrics.duration_buckets_s
    if not isfinite(bounds[-1]) or any(a >= b for a, b in pairwise(bounds)):
        yield (
            ("metrics.duration_buckets_s",),
            "the bounds must rise and be finite",
        )
    if config.ssl_keyfile is not None and config.ssl_certfile is None:
        yield ("ssl_keyfile", "ssl_certfile"), "a key needs a certificate"
    if config.ssl_ca_certs is not None and config.ssl_certfile is None:
        yield ("ssl_ca_certs", "ssl_certfile"), "checking clients needs a certificate"
    yield from _restart_faults(config.restart)


def runner_faults(config: RunnerConfig) -> Iterator[Fault]:
    """Yield what is wrong with a runner's settings."""
    yield from _batching_faults(config.batching, "batching")
    for method in config.methods:
        yield from _batching_faults(config.batching_of(method), f"methods.{method}")
    yield from _restart_faults(config.restart)


def _batching_faults(config: BatchingConfig, section: str) -> Iterator[Fault]:
    if config.max_queue_rows < config.max_batch_size:
        yield (
            ("batching.max_queue_rows", f"{section}.max_batch_size"),
            "a batch must fit in the queue",
        )
    if config.max_wait_ms is not None and config.max_wait_ms > config.max_latency_ms:
        yield (
            ("batching.max_wait_ms", f"{section}.max_latency_ms"),
            "the wait must be within the latency",
        )


def _restart_faults(config: RestartConfig) -> Iterator[Fault]:
    if config.delay_s > config.max_delay_s:
        yield (
            ("restart.delay_s", "restart.max_delay_s"),
            "the first delay must be within the longest",
        )
