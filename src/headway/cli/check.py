"""`headway check`: compares the methods of a service in batches and row by row.

cli/main adds it; tools/check does the work.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from headway.cli import options
from headway.tools.check.check import check_runner
from headway.tools.check.check_result import CheckResult
from headway.tools.check.difference import Tolerance

_INDENT = " " * 13


@click.command()
@click.argument("service")
@options.config_option
@options.working_dir_option
@click.option(
    "--rows",
    type=click.IntRange(2, 1000),
    default=8,
    help="Rows in the largest batch, up to max_batch_size.",
)
@click.option(
    "--rtol",
    type=click.FloatRange(0),
    default=1e-4,
    help="Allowed difference of numbers, relative to their size.",
)
@click.option(
    "--atol",
    type=click.FloatRange(0),
    default=1e-6,
    help="Allowed absolute difference of numbers, in addition.",
)
@click.pass_context
def check(
    context: click.Context,
    service: str,
    config_file: Path | None,
    working_dir: Path | None,
    rows: int,
    rtol: float,
    atol: float,
) -> None:
    """Check the batchable methods of a SERVICE, alone and in batches.

    Each method runs on the rows of its sample, one by one and together, in several
    sizes and orders. The exit code is 1 if a result differs or has the wrong rows.
    """
    opened = options.open_service(service, config_file, working_dir)
    is_ok = True
    for runner in opened.service.runners:
        settings = opened.config.runner(runner.name)
        for method, result in check_runner(
            runner, settings, rows, Tolerance(rtol, atol)
        ):
            is_ok = is_ok and not result.findings
            for line in _lines(f"{runner.name}.{method}", result):
                click.echo(line)
    if not opened.service.runners:
        click.echo(f"{opened.service.name} has no runners: there is nothing to check")
    context.exit(0 if is_ok else 1)


def _lines(method: str, result: CheckResult) -> Iterator[str]:
    if result.skipped:
        yield f"not checked  {method}: {result.skipped}"
        return
    tried = ""
    if result.batches:
        sizes = ", ".join(map(str, result.batches))
        tried = f": {result.rows}, alone and in batches of {sizes}"
    yield f"{'WRONG' if result.findings else 'ok':<11}  {method}{tried}"
    for finding in result.findings:
        yield f"{_INDENT}{finding.what}"
        yield f"{_INDENT}-> {finding.advice}"
    for note in result.notes:
        yield f"{_INDENT}note: {note}"
