"""A table on the terminal, the same figures as JSON in a file."""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

__all__ = ["arguments", "show"]


def arguments(description: str | None, *, seconds: int) -> argparse.Namespace:
    """Return the arguments that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=int, default=seconds, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="the median is shown")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


def show(title: str, rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print rows as a table; write them as JSON with the machine's facts."""
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
    if file is not None:
        facts = {
            "title": title,
            "command": " ".join(sys.argv),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "rows": rows,
        }
        file.write_text(json.dumps(facts, indent=1) + "\n")


def _text(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
