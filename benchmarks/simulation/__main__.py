"""Does the scheduler batch better than its rivals? Virtual time: no load, no noise."""

import argparse
import time

from benchmarks.report import show
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CONTENDERS
from benchmarks.simulation.outcome import run


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.simulation", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True)
    listing = commands.add_parser("list", help="name the cases")
    listing.set_defaults(command=_list)
    case = commands.add_parser("case", help="run cases and show a table of each")
    case.add_argument(
        "names", nargs="+", metavar="NAME", help="a case, or all below such/a/path"
    )
    case.add_argument("--policy", action="append", choices=CONTENDERS)
    case.set_defaults(command=_case)
    options = parser.parse_args()
    options.command(options)


def _list(options: argparse.Namespace) -> None:
    for name in CASES:
        print(name)


def _case(options: argparse.Namespace) -> None:
    for name, case in CASES.items():
        begins = any(name.startswith(f"{wanted}/") for wanted in options.names)
        if name not in options.names and not begins:
            continue
        rows = []
        for policy in options.policy or CONTENDERS:
            began = time.perf_counter()
            outcome = run(case, policy)
            rows.append(
                {
                    "policy": policy,
                    "offered": outcome.offered,
                    "refused": outcome.refused,
                    "dropped": outcome.dropped,
                    "goodput/s": outcome.goodput,
                    "mean ms": outcome.mean_ms,
                    "+-": outcome.error_ms,
                    "p99 ms": outcome.p99_ms,
                    "rows": outcome.batch_rows,
                    "held ms": outcome.held_ms,
                    "took s": time.perf_counter() - began,
                }
            )
        show(name, rows, None)


if __name__ == "__main__":
    main()
