"""`--report`: the page that commands which measure write about it.

cli/load, cli/tune and cli/walk use it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headway.tools.report.document import Report

__all__ = ["command_words", "report_option", "save_report"]

report_option = click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    help="Also write a page of what was measured there: one HTML file, with charts.",
)


def command_words() -> list[str]:
    """Return the command that runs, as a user would write it."""
    return ["headway", *sys.argv[1:]]


def save_report(report: "Report", report_file: Path) -> None:
    """Write it and say so.

    Raises:
        TrafficError: If it cannot be written.
    """
    from headway.tools.report.page import write_report

    write_report(report, report_file)
    click.echo(f"report written to {report_file}", err=True)
