"""The table of a load, for people.

cli/load and the demo print it.
"""

from collections.abc import Sequence

from headway.server.placement import available_cores
from headway.tools.load.result import LoadResult, RungResult

__all__ = ["NO_VALUE", "load_columns", "load_rows", "load_table"]

NO_VALUE = "-"
_COLUMNS = (
    "users",
    "spawn/s",
    "RPS",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "max ms",
    "failures",
    "mean batch",
)


def load_columns() -> list[str]:
    """Return the heads of the columns."""
    return list(_COLUMNS)


def load_rows(rungs: Sequence[RungResult]) -> list[list[str]]:
    """Return a row for each rung."""
    return [_row(rung) for rung in rungs]


def load_table(result: LoadResult) -> list[str]:
    """Return the lines of the table, and what is to be known about it."""
    rows = [load_columns(), *load_rows(result.rungs)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if any(rung.steady is None for rung in result.rungs):
        lines += ["", "* not all of the users had come when the rung was over"]
    if result.rungs:
        cores = result.rungs[-1].figures.load_cores
        lines += [
            "",
            "Each rung once all of its users were there; failures are those of all of "
            "it.",
            f"The load generator had the {available_cores()} cores of this machine, "
            f"and used {cores:.2f} of them on the last rung.",
        ]
    return lines


def _row(result: RungResult) -> list[str]:
    figures = result.figures
    batch = None if result.server is None else result.server.mean_batch_rows
    return [
        f"{result.users}{'' if result.steady else '*'}",
        f"{result.rung.spawn_per_s:g}",
        f"{figures.rps:,.1f}",
        *(
            NO_VALUE if value is None else f"{value:g}"
            for value in (
                figures.p50_ms,
                figures.p90_ms,
                figures.p99_ms,
                figures.max_ms,
            )
        ),
        f"{result.whole.failures}",
        NO_VALUE if batch is None else f"{batch:.2f}",
    ]
