"""How much latency does a lone client see over the model's own predict time?

The 100-tree forest on iris, one connection. The model alone is timed in the same
seconds, twice: in a tight loop, and with a pause before each call, as in a server. The
pause cools the processor's caches and lowers its clock.
"""

import statistics
import time

from benchmarks.forest import CONFIGS
from benchmarks.report import Criterion, arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.services.models import ROW, Forest
from benchmarks.wrk import run_wrk

CALLS = 200


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=4)
    model = Forest()
    rows = []
    for _ in range(options.runs):
        tight, paused = _predict_ms(model, 0.0), _predict_ms(model, 0.001)
        with Server("models:forest", config=CONFIGS["batching"]) as server:
            load = run_wrk(
                server.url, connections=1, seconds=options.seconds, body=FLOWER
            )
        rows.append(
            {
                "own, tight ms": tight,
                "own, paused ms": paused,
                "client p50 ms": load.p50_ms,
                "over tight": load.p50_ms - tight,
                "over paused": load.p50_ms - paused,
            }
        )
    criteria = []
    for name in ("over tight", "over paused"):
        over = statistics.median(row[name] for row in rows)
        criteria.append(Criterion(f"median {name} <= 0.25 ms", over, over <= 0.25))
    show("a lone client of the forest", rows, options.json, criteria)


def _predict_ms(model: Forest, pause_s: float) -> float:
    times = []
    for _ in range(CALLS):
        time.sleep(pause_s)
        began = time.perf_counter()
        model.predict(ROW)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


if __name__ == "__main__":
    main()
