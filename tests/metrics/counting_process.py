"""Counts into the metrics file of its argument until it is killed; tests start it.

It prints a line once it has counted something.
"""

import sys
from pathlib import Path

from headway.metrics import MetricsRegistry
from headway.metrics.families import (
    BATCH_SIZE_ROWS,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
)


def main() -> None:
    registry = MetricsRegistry(Path(sys.argv[1]))
    registry.start()
    registry.gauge(REQUESTS_IN_PROGRESS, ("classify",)).set(7)
    requests = registry.counter(REQUESTS, ("classify", "200"))
    rows = registry.histogram(BATCH_SIZE_ROWS, ("iris", "predict"))
    for number in range(1000):
        requests.add()
        rows.observe(number)
    sys.stdout.write("counted\n")
    sys.stdout.flush()
    endpoint = 0
    while True:
        requests.add()
        rows.observe(3)
        # New series keep coming for a while, so that the kill may hit one half made.
        if endpoint < 300:
            endpoint += 1
            registry.counter(REQUESTS, (f"endpoint-{endpoint}", "200")).add()


if __name__ == "__main__":
    main()
