"""The outcomes of the catalogue as a file: raw, a line for each case and policy.

The command runs the cases and writes it; verdicts and report read it.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.simulation.case import Case
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CONTENDERS, HEADWAY, OPTIMUM
from benchmarks.simulation.outcome import Outcome, run, run_optimum

__all__ = ["DOCS", "RECORD", "Outcomes", "read", "run_all", "write"]

DOCS: Final = Path(__file__).parents[2] / "docs"
RECORD: Final = DOCS / "simulation/outcomes.jsonl"

Outcomes = dict[tuple[str, str], Outcome]
"""By case and policy."""


def run_all(
    cases: Iterable[Case], policies: Iterable[str], *, jobs: int | None = None
) -> Outcomes:
    """Run the policies on the cases that they take part in; the optimum is one of them.

    Args:
        cases: What to run.
        policies: Their names.
        jobs: Processes; one for each core if it is None.
    """
    chosen = list(policies)
    tasks = [(case.name, policy) for case in cases for policy in _entered(case, chosen)]
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        return dict(zip(tasks, pool.map(_run, tasks), strict=True))


def _entered(case: Case, policies: list[str]) -> list[str]:
    if case.family == "priority":
        return [HEADWAY]  # the rivals know no classes
    return [one for one in policies if one != OPTIMUM or case.family == "poisson"]


def _run(task: tuple[str, str]) -> Outcome:
    name, policy = task
    return run_optimum(CASES[name]) if policy == OPTIMUM else run(CASES[name], policy)


def read(path: Path) -> Outcomes:
    """Read a file of outcomes; one that is not there has none.

    Raises:
        msgspec.ValidationError: If it holds something else.
    """
    if not path.exists():
        return {}
    outcomes = msgspec.json.Decoder(Outcome).decode_lines(path.read_bytes())
    return {(outcome.case, outcome.policy): outcome for outcome in outcomes}


def write(path: Path, outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    """Write outcomes, in the order of the catalogue, without cases that are no more."""
    ordered = [
        outcomes[name, policy]
        for name in CASES
        for policy in (*CONTENDERS, OPTIMUM)
        if (name, policy) in outcomes
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.Encoder().encode_lines(ordered))
