"""Does the scheduler batch better than its rivals? Virtual time: no load, no noise."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import show
from benchmarks.simulation.case import Case
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CONTENDERS, OPTIMUM
from benchmarks.simulation.outcome import run
from benchmarks.simulation.record import DOCS, RECORD, read, run_all, write
from benchmarks.simulation.report import write_text
from benchmarks.simulation.verdict import CLAIMS, judge


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.simulation", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="name the cases")
    listing.set_defaults(command=_list)
    case = commands.add_parser("case", help="run cases and show a table of each")
    case.set_defaults(command=_case)
    case.add_argument("names", nargs="+", metavar="NAME", help=_NAMES)
    recording = commands.add_parser("run", help="run cases and record the outcomes")
    recording.set_defaults(command=_record)
    recording.add_argument("--jobs", type=int, help="processes (default: all cores)")
    recording.add_argument("names", nargs="*", metavar="NAME", help=_NAMES)
    judging = commands.add_parser("verdicts", help="judge what is recorded")
    judging.set_defaults(command=_judge)
    reporting = commands.add_parser("report", help="write what is recorded into docs/")
    reporting.set_defaults(command=_report)
    for one, policies in ((case, [*CONTENDERS]), (recording, [*CONTENDERS, OPTIMUM])):
        one.add_argument("--policy", action="append", choices=policies)
    for one in (recording, judging, reporting):
        one.add_argument("--record", type=Path, default=RECORD, help="the file")
    options = parser.parse_args()
    options.command(options)


_NAMES = "a case, or the beginning of names: closed, closed/forest (default: all)"


def _chosen(names: Iterable[str]) -> list[Case]:
    """Return the cases of these names, or below them as paths.

    Raises:
        SystemExit: If there are none.
    """
    chosen = [
        case
        for name, case in CASES.items()
        if not names or any(f"{name}/".startswith(f"{path}/") for path in names)
    ]
    if not chosen:
        raise SystemExit("no case is called so: list names them")
    return chosen


def _list(options: argparse.Namespace) -> None:
    print("\n".join(CASES))


def _case(options: argparse.Namespace) -> None:
    for case in _chosen(options.names):
        rows = []
        for policy in options.policy or CONTENDERS:
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
                }
            )
        show(case.name, rows, None)


def _record(options: argparse.Namespace) -> None:
    policies = options.policy or [*CONTENDERS, OPTIMUM]
    new = run_all(_chosen(options.names), policies, jobs=options.jobs)
    write(options.record, {**read(options.record), **new})


def _judge(options: argparse.Namespace) -> None:
    verdicts = list(judge(CASES.values(), read(options.record)))
    for claim, meaning in CLAIMS.items():
        mine = [verdict for verdict in verdicts if verdict.claim == claim]
        broken = [verdict for verdict in mine if not verdict.holds]
        print(f"\n{claim}: {len(mine) - len(broken)} of {len(mine)} hold ({meaning})")
        for verdict in broken:
            print(
                f"  {verdict.case:36} {verdict.rival:12} "
                f"{verdict.value:8.3f}  (bound {verdict.bound:g})"
            )


def _report(options: argparse.Namespace) -> None:
    from benchmarks.simulation.plots import draw_all  # needs matplotlib

    outcomes = read(options.record)
    write_text(outcomes, DOCS)
    draw_all(outcomes, DOCS / "simulation")


if __name__ == "__main__":
    main()
