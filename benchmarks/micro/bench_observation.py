"""What does telemetry cost a request: ids, stages, the access log, traces?

As bench_edge, with the settings of each case in turn, round after round, so that all of
them meet the same noise. The time is that of the whole process: the access log's thread
counts. `python -m benchmarks.micro.bench_observation`
"""

import asyncio
import os
import statistics

import uvloop

from benchmarks.micro.bench_edge import Bench
from headway.config.schema import (
    ApiServerConfig,
    HeadwayConfig,
    LoggingConfig,
    TracingConfig,
)
from headway.core.log import configure

_CONNECTIONS = 512
_TURNS = 4
_ROUNDS = 25
_CASES = {
    "nothing": HeadwayConfig(),
    "nothing, once more": HeadwayConfig(),
    "request_ids": HeadwayConfig(api_server=ApiServerConfig(request_ids=True)),
    "server_timing": HeadwayConfig(api_server=ApiServerConfig(server_timing=True)),
    "access log": HeadwayConfig(logging=LoggingConfig(access=True)),
    "tracing, none sampled": HeadwayConfig(
        tracing=TracingConfig(enabled=True, sample_ratio=0)
    ),
    "tracing, 1 % sampled": HeadwayConfig(
        tracing=TracingConfig(enabled=True, sample_ratio=0.01)
    ),
}


async def _run() -> None:
    loop = asyncio.get_running_loop()
    benches = {}
    for case, config in _CASES.items():
        benches[case] = Bench(_CONNECTIONS, config=config)
    took: dict[str, list[float]] = {case: [] for case in benches}
    for _ in range(_ROUNDS):
        for case, bench in benches.items():
            took[case].append(await bench.turns(_TURNS))
            # What its threads have left to do counts for it, not for the next one.
            await loop.run_in_executor(None, os.sched_yield)
    plain = took["nothing"]
    for case, times in took.items():
        more = statistics.median(
            time - other for time, other in zip(times, plain, strict=True)
        )
        print(
            f"{case:22} {min(times):6.2f} us at best, "
            f"{statistics.median(times):6.2f} in the middle, {more:+6.2f} to nothing"
        )


def main() -> None:
    """Run it."""
    # Spans gather; the collector's share of the cost is not the worker's.
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "1000000"
    os.environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "1000000"
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        configure("bench", stream=nowhere)
        uvloop.run(_run())
    os._exit(0)  # no export of what has gathered


if __name__ == "__main__":
    main()
