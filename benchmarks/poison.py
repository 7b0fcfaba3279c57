"""Measures what one bad request in 100 does to the other requests and the throughput.

Three forests raise on a bad row: in sklearn's own check, in a check before the model
computes, and in one after it. A closed loop sends one flower per request, in a random
order, and checks each answer: the flower's class, or 500 for a bad row. Runs with and
without bad requests alternate.
"""

import random
import statistics
from typing import Any

from sklearn.datasets import load_iris

from benchmarks.closed_loop import CheckedRequest, ClosedLoop, Tally
from benchmarks.report import Criterion, argument_parser, show
from benchmarks.server import Server
from benchmarks.services.models import Forest
from headway.tools.open_loop.connections import request_bytes

_CONFIG = "runners: {resources: {cpu: 1}, batching: {max_batch_size: 32}}"
_BAD_ROWS = {
    "models:forest": "[[1e300, 3.5, 1.4, 0.2]]",
    "poison:before": "[[-1.0, 3.5, 1.4, 0.2]]",
    "poison:after": "[[-1.0, 3.5, 1.4, 0.2]]",
}
_ONE_IN = 100
_REQUESTS = 100_000
_SHARE = 0.7
"""Least throughput with bad requests, as a share of that without."""


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=4)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for service, bad_row in _BAD_ROWS.items():
        with Server(service, config=_CONFIG) as server:
            clean = _requests(server.url, None)
            mixed = _requests(server.url, bad_row)
            runs = []
            for _ in range(options.runs):
                pair = [
                    ClosedLoop(
                        server.url, requests, connections=options.connections
                    ).run(options.seconds)
                    for requests in (clean, mixed)
                ]
                runs.append(pair)
        rows.append({"service": service, **_row(runs)})
    criteria = []
    for row in rows:
        service, wrong, share = row["service"], row["wrong or lost"], row["mixed/clean"]
        criteria += [
            Criterion(f"{service}: no wrong or lost answers", wrong, not wrong),
            Criterion(
                f"{service}: throughput, mixed / clean >= {_SHARE}",
                share,
                share >= _SHARE,
            ),
        ]
    title = f"one bad request in {_ONE_IN}, {options.connections} connections"
    show(title, rows, options.json, criteria)


def _requests(url: str, bad_row: str | None) -> list[CheckedRequest]:
    """Return good requests; with a bad row, it replaces one in `_ONE_IN` of them."""
    flowers = load_iris().data
    classes = Forest().model.predict(flowers)
    good = [
        CheckedRequest(
            request_bytes(url, str([flower.tolist()]).encode(), {}),
            200,
            b"[%d]" % label,
        )
        for flower, label in zip(flowers, classes, strict=True)
    ]
    # One seed: both kinds of run send the same flowers in the same order.
    choice = random.Random(1)
    requests = choice.choices(good, k=_REQUESTS)
    if bad_row is not None:
        bad = CheckedRequest(request_bytes(url, bad_row.encode(), {}), 500)
        for number in choice.sample(range(_REQUESTS), _REQUESTS // _ONE_IN):
            requests[number] = bad
    return requests


def _row(runs: list[list[Tally]]) -> dict[str, Any]:
    """Return the medians over pairs of runs: a clean one, and one with bad rows."""
    return {
        "clean /s": statistics.median(clean.per_s for clean, _ in runs),
        "mixed /s": statistics.median(mixed.per_s for _, mixed in runs),
        "mixed/clean": statistics.median(
            mixed.per_s / clean.per_s for clean, mixed in runs
        ),
        "right": sum(tally.right for pair in runs for tally in pair),
        "wrong or lost": sum(t.wrong + t.lost for pair in runs for t in pair),
    }


if __name__ == "__main__":
    main()
