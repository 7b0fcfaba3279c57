"""Prints the results of a benchmark as a table, and writes them as JSON."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Criterion", "argument_parser", "arguments", "show"]


class Criterion(msgspec.Struct, frozen=True):
    """Whether a figure meets its bound."""

    claim: str
    figure: float
    holds: bool


def arguments(description: str | None, *, seconds: int) -> argparse.Namespace:
    """Return the arguments common to all benchmarks."""
    return argument_parser(description, seconds=seconds).parse_args()


def argument_parser(
    description: str | None, *, seconds: int
) -> argparse.ArgumentParser:
    """Return a parser of the arguments common to all benchmarks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--seconds", type=int, default=seconds, help="duration of each run"
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="number of runs; the median is shown"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def show(
    title: str,
    rows: list[dict[str, Any]],
    file: Path | None,
    criteria: Sequence[Criterion] = (),
) -> None:
    """Print a table and the criteria; write both as JSON with the machine's facts."""
    names = list(rows[0])
    cells = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    print(f"\n{title}")
    for row in cells:
        print(
            "  ".join(
                text.rjust(width) for text, width in zip(row, widths, strict=True)
            )
        )
    for criterion in criteria:
        answer = "yes" if criterion.holds else "NO"
        print(f"{answer:>3}  {criterion.claim}: {_text(criterion.figure)}")
    if file is not None:
        facts = {
            "title": title,
            "command": " ".join(sys.argv),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "rows": rows,
            "criteria": criteria,
        }
        # NaN becomes null.
        file.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))


def _text(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
