"""How far is the slowest answer from the typical one, with 512 connections?

The forest on iris, after a second of the same load. wrk opens new connections for
each run, so that the maximum includes their start.
"""

from benchmarks.forest import CONFIGS
from benchmarks.report import arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk

_CONNECTIONS = 512


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=8)
    rows = []
    with Server("models:forest", config=CONFIGS["batching"]) as server:
        run_wrk(server.url, connections=_CONNECTIONS, seconds=1, body=FLOWER)
        for _ in range(options.runs):
            load = run_wrk(
                server.url,
                connections=_CONNECTIONS,
                seconds=options.seconds,
                body=FLOWER,
            )
            rows.append(
                {
                    "rps": load.rps,
                    "p50 ms": load.p50_ms,
                    "p99 ms": load.p99_ms,
                    "p99/p50": load.p99_ms / load.p50_ms,
                    "max ms": load.max_ms,
                    "failures": load.failures,
                }
            )
    show(f"forest, {_CONNECTIONS} connections", rows, options.json)


if __name__ == "__main__":
    main()
