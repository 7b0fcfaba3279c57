"""A table on the terminal, the same figures as JSON in a file."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Verdict", "argument_parser", "arguments", "show"]


class Verdict(msgspec.Struct, frozen=True):
    """Whether a figure is what is asked for."""

    claim: str
    figure: float
    holds: bool


def arguments(description: str | None, *, seconds: int) -> argparse.Namespace:
    """Return the arguments that all benchmarks take."""
    return argument_parser(description, seconds=seconds).parse_args()


def argument_parser(
    description: str | None, *, seconds: int
) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=int, default=seconds, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="the median is shown")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser


def show(
    title: str,
    rows: list[dict[str, Any]],
    file: Path | None,
    verdicts: Sequence[Verdict] = (),
) -> None:
    """Print a table and verdicts; write both as JSON with the machine's facts."""
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
    for verdict in verdicts:
        answer = "yes" if verdict.holds else "NO"
        print(f"{answer:>3}  {verdict.claim}: {_text(verdict.figure)}")
    if file is not None:
        facts = {
            "title": title,
            "command": " ".join(sys.argv),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "rows": rows,
            "verdicts": verdicts,
        }
        # What is not a number becomes null.
        file.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))


def _text(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
