"""What are the outcomes of requests at a given rate, however slow the server is?

Poisson arrivals in phases; each latency counts from the scheduled send time.
"""

import argparse
from pathlib import Path

from benchmarks.report import show
from benchmarks.server import FLOWER
from headway.tools.open_loop.traffic import Outcomes, Phase, Traffic, send


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument(
        "--phase",
        type=_phase,
        action="append",
        required=True,
        metavar="RATE,SECONDS",
        help="rate and seconds; repeat for each phase, as in --phase 3500,5",
    )
    parser.add_argument("--body", default=FLOWER, help="body of each request, JSON")
    parser.add_argument("--deadline-ms", type=float, default=1000.0)
    parser.add_argument(
        "--connections",
        type=int,
        default=256,
        help="connections opened before the first phase",
    )
    parser.add_argument("--max-connections", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--step", type=float, help="show intervals of this many seconds, too"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    traffic = Traffic(
        url=options.url,
        phases=tuple(options.phase),
        body=options.body.encode(),
        deadline_ms=options.deadline_ms,
        connections=options.connections,
        max_connections=options.max_connections,
        seed=options.seed,
    )
    outcomes = send(traffic)
    spans = [phase.seconds for phase in traffic.phases]
    if options.step:
        spans = [options.step] * round(traffic.seconds / options.step)
    _show(outcomes, spans, options.json)


def _phase(text: str) -> Phase:
    per_s, seconds = text.split(",")
    return Phase(float(per_s), float(seconds))


def _show(outcomes: Outcomes, spans: list[float], file: Path | None) -> None:
    rows = []
    began = 0.0
    for seconds in spans:
        part = outcomes.between(began, began + seconds)
        rows.append({"from s": began, **part.summary(seconds).row()})
        began += seconds
    show("open loop, latency from the scheduled send time", rows, file)


if __name__ == "__main__":
    main()
