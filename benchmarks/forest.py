"""What does batching gain for a model whose calls cost the same at any batch size?

The 100-tree forest on iris: throughput at 1, 16, 64 and 512 connections, with batching,
without the gather window, and without batching; and the latency of a lone client over
the model's own predict time.
"""

import statistics
import time
from typing import Any

from benchmarks.report import arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.services.models import ROW, Forest
from benchmarks.wrk import Load, run_wrk

COMMON = "api_server: {timeout: 60}\nrunners: {resources: {cpu: 1}, batching: "
CONFIGS = {
    "batching": COMMON + "{enabled: true, max_batch_size: 1000}}",
    "no window": COMMON + "{enabled: true, max_batch_size: 1000, max_wait_ms: 0}}",
    "no batching": COMMON + "{enabled: false}}",
}


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=8)
    rows: list[dict[str, Any]] = []
    loads: dict[tuple[str, int], list[Load]] = {}
    for _ in range(options.runs):
        for name, config in CONFIGS.items():
            counts = (512,) if name == "no batching" else (1, 16, 64, 512)
            with Server("models:forest", config=config) as server:
                for connections in counts:
                    load = run_wrk(
                        server.url,
                        connections=connections,
                        seconds=options.seconds,
                        body=FLOWER,
                    )
                    loads.setdefault((name, connections), []).append(load)
    unbatched = _median(loads["no batching", 512]).rps
    for (name, connections), runs in loads.items():
        load = _median(runs)
        rows.append(
            {
                "server": name,
                "connections": connections,
                "rps": load.rps,
                "p50 ms": load.p50_ms,
                "p99 ms": load.p99_ms,
                "failures": sum(run.failures for run in runs),
                "over unbatched": load.rps / unbatched,
            }
        )
    show("forest, medians of the runs", rows, options.json)
    alone = _predict_ms()
    lone = _median(loads["batching", 1]).p50_ms
    print(f"\nthe model's own predict: {alone:.2f} ms; a lone client's p50: {lone:.2f}")


def _median(runs: list[Load]) -> Load:
    return sorted(runs, key=lambda load: load.rps)[len(runs) // 2]


def _predict_ms() -> float:
    model = Forest()
    times = []
    for _ in range(300):
        began = time.perf_counter()
        model.predict(ROW)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


if __name__ == "__main__":
    main()
