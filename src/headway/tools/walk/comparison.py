"""What each stage of the walk brings over the one before, and the table of all.

walk fills the figures; cli/walk prints the table.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from headway.tools.walk.load_step import RungFigures

__all__ = ["StageFigures", "brought", "cells", "gains", "table", "verdicts"]

_MORE = 1.05
"""Less than this more, or less, is noise."""


class StageFigures(msgspec.Struct, kw_only=True):
    """What was measured of a stage, as far as it went."""

    name: str
    what: str
    rungs: list[RungFigures] = []
    limit_per_s: float | None = None
    """Highest rate within the target, whatever the users do; 0: at none."""
    livez_p99_ms: float | None = None
    """Of the server's sign of life, while the last rung was climbed."""
    problem: str = ""


def gains(before: StageFigures, after: StageFigures) -> tuple[list[str], list[str]]:
    """Return in words what is better than before, and what is worse.

    Compared are the rate within the target and, on the highest rung that both have, the
    users' RPS and p99.
    """
    better: list[str] = []
    worse: list[str] = []

    def compare(what: str, old: float, new: float, *, more_is_better: bool) -> None:
        text = f"{what} {old:,.0f} -> {new:,.0f}"
        if max(old, new) > _MORE * min(old, new):
            (better if (new > old) == more_is_better else worse).append(text)

    if before.limit_per_s is not None and after.limit_per_s is not None:
        compare(
            "requests/s within the target",
            before.limit_per_s,
            after.limit_per_s,
            more_is_better=True,
        )
    both = list(zip(before.rungs, after.rungs, strict=False))
    if both:
        old, new = both[-1]
        at = f"at {new.users:,} users"
        compare(f"RPS {at}", old.rps, new.rps, more_is_better=True)
        compare(f"p99 ms {at}", old.p99_ms, new.p99_ms, more_is_better=False)
    return better, worse


def brought(stages: Sequence[StageFigures]) -> list[tuple[str, str]]:
    """Return the name of each stage but the first, and what it brings."""
    found = []
    for before, after in pairwise([stage for stage in stages if not stage.problem]):
        better, worse = gains(before, after)
        gained = "; ".join(better) or f"no better than {before.name} on this machine"
        lost = f" (but {'; '.join(worse)})" if worse else ""
        found.append((after.name, gained + lost))
    return found + [(s.name, f"skipped: {s.problem}") for s in stages if s.problem]


def verdicts(stages: Sequence[StageFigures]) -> list[str]:
    """Return a line for each stage but the first: what it brings."""
    return [f"{name}: {what}" for name, what in brought(stages)]


def table(stages: Sequence[StageFigures], p99_ms: float) -> list[str]:
    """Return all figures as lines of text, one for each stage."""
    rows = cells(stages, p99_ms)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def cells(stages: Sequence[StageFigures], p99_ms: float) -> list[list[str]]:
    """Return all figures as a table's cells: its heads, and a row for each stage."""
    users = [rung.users for rung in max((s.rungs for s in stages), key=len)]
    heads = ["stage", f"/s in {p99_ms:g} ms"]
    for number in users:
        heads += [f"RPS@{number}", f"p99@{number}"]
    heads += ["failures", "/livez p99"]
    return [heads, *(_row(stage, len(users)) for stage in stages)]


def _row(stage: StageFigures, rungs: int) -> list[str]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:,.0f}"

    cells = [stage.name, shown(stage.limit_per_s)]
    for rung in stage.rungs:
        cells += [shown(rung.rps), shown(rung.p99_ms)]
    cells += ["-", "-"] * (rungs - len(stage.rungs))
    failures = sum(rung.failures for rung in stage.rungs)
    return [*cells, str(failures), shown(stage.livez_p99_ms)]
