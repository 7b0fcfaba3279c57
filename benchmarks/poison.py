"""What does one bad row in every 100 do to the others, and to the throughput?

Forests that raise on the bad row: sklearn's own check, a check before computing and one
after it. A closed loop asks for flowers one at a time, in a random order, and checks
each answer: the flower's class, or a 500 for the bad row. Each forest is asked clean
and mixed in turn.
"""

import random
import statistics
from typing import Any

from sklearn.datasets import load_iris

from benchmarks.closed_loop import ClosedLoop, Question, Tally
from benchmarks.report import Verdict, argument_parser, show
from benchmarks.server import Server
from benchmarks.services.models import Forest
from headway.tools.open_loop.connections import request_bytes

_CONFIG = "runners: {resources: {cpu: 1}, batching: {max_batch_size: 32}}"
_POISONS = {
    "models:forest": "[[1e300, 3.5, 1.4, 0.2]]",
    "poison:before": "[[-1.0, 3.5, 1.4, 0.2]]",
    "poison:after": "[[-1.0, 3.5, 1.4, 0.2]]",
}
_ONE_IN = 100
_QUESTIONS = 100_000
_SHARE = 0.7


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=4)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for service, poison in _POISONS.items():
        with Server(service, config=_CONFIG) as server:
            clean = _questions(server.url, None)
            mixed = _questions(server.url, poison)
            runs = []
            for _ in range(options.runs):
                pair = [
                    ClosedLoop(
                        server.url, questions, connections=options.connections
                    ).run(options.seconds)
                    for questions in (clean, mixed)
                ]
                runs.append(pair)
        rows.append({"service": service, **_row(runs)})
    verdicts = []
    for row in rows:
        service, wrong, share = row["service"], row["wrong or lost"], row["mixed/clean"]
        verdicts += [
            Verdict(f"{service}: wrong or lost answers: none", wrong, not wrong),
            Verdict(f"{service}: mixed over clean >= 0.7", share, share >= _SHARE),
        ]
    title = f"one bad row in {_ONE_IN}, {options.connections} connections"
    show(title, rows, options.json, verdicts)


def _questions(url: str, poison: str | None) -> list[Question]:
    flowers = load_iris().data
    classes = Forest().model.predict(flowers)
    good = [
        Question(
            request_bytes(url, str([flower.tolist()]).encode(), {}),
            200,
            b"[%d]" % label,
        )
        for flower, label in zip(flowers, classes, strict=True)
    ]
    # The same flowers in the same order, some replaced.
    choice = random.Random(1)
    questions = choice.choices(good, k=_QUESTIONS)
    if poison is not None:
        bad = Question(request_bytes(url, poison.encode(), {}), 500)
        for number in choice.sample(range(_QUESTIONS), _QUESTIONS // _ONE_IN):
            questions[number] = bad
    return questions


def _row(runs: list[list[Tally]]) -> dict[str, Any]:
    """Return the medians of pairs of a clean and a mixed run."""
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
