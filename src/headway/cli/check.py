"""`headway check`: do the methods of a service give in a batch what they give alone?

cli/main adds it; consistency does the work, this loads the models and prints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headway.cli.service_options import (
    config_option,
    resolve_plan,
    working_dir_option,
)
from headway.config.schema import RunnerConfig
from headway.core.method_spec import MethodSpec
from headway.server.placement import describe
from headway.service.loader import load_service, locate, service_dir
from headway.service.runner import Runner

if TYPE_CHECKING:
    from headway.tools.check.difference import Tolerance
    from headway.tools.check.verdict import Verdict

__all__ = ["check"]

_INDENT = " " * 13
_NO_SAMPLE = (
    'it has no sample: save the model with `signatures={"METHOD": {"batchable": True, '
    '"sample": X[:1]}}`, or return one from the runnable\'s warmup_samples()'
)


@click.command()
@click.argument("service")
@config_option
@working_dir_option
@click.option(
    "--rows",
    type=click.IntRange(2, 1000),
    default=8,
    show_default=True,
    help="Rows in the largest batch; max_batch_size may allow less.",
)
@click.option(
    "--rtol",
    type=click.FloatRange(0),
    default=1e-4,
    show_default=True,
    help="How far numbers may be apart, relative to their size.",
)
@click.option(
    "--atol",
    type=click.FloatRange(0),
    default=1e-6,
    show_default=True,
    help="How far numbers may be apart besides.",
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
    """Try the batchable methods of a SERVICE: alone and in batches.

    Each is run on the rows of its sample, one by one and together, in several sizes and
    orders. The exit code is 1 if a result differs or has the wrong rows.
    """
    from headway.tools.check.difference import Tolerance

    service, folder = locate(service, working_dir)
    loaded = load_service(service, folder)
    config = resolve_plan(
        describe(loaded),
        config_file=config_file,
        folder=service_dir(service, folder),
        flags={},
    )
    is_well = True
    for runner in loaded.runners:
        settings = config.runner(runner.name)
        for method, verdict in _verdicts(runner, settings, rows, Tolerance(rtol, atol)):
            is_well = is_well and not verdict.findings
            for line in _lines(f"{runner.name}.{method}", verdict):
                click.echo(line)
    if not loaded.runners:
        click.echo(f"{loaded.name} has no runners: there is nothing to check")
    context.exit(0 if is_well else 1)


def _verdicts(
    runner: Runner, settings: RunnerConfig, rows: int, tolerance: "Tolerance"
) -> Iterator[tuple[str, "Verdict"]]:
    """Yield each method's verdict; the model is loaded only if there is need of it."""
    from headway.server.assembly import load_model
    from headway.service.runnable import read_samples
    from headway.tools.check.check import check_method
    from headway.tools.check.verdict import Verdict

    specs = {name: method.spec for name, method in runner.methods.items()}
    skipped = {name: _why_never_batched(spec, settings) for name, spec in specs.items()}
    if all(skipped.values()):
        yield from ((name, Verdict(skipped=why)) for name, why in skipped.items())
        return
    runnable = load_model(runner)
    samples = read_samples(runner.name, runnable, specs)
    for name, spec in specs.items():
        if not skipped[name] and name not in samples:
            skipped[name] = _NO_SAMPLE.replace("METHOD", name)
        if skipped[name]:
            yield name, Verdict(skipped=skipped[name])
            continue
        yield (
            name,
            check_method(
                runnable=runnable,
                spec=spec,
                sample=samples[name],
                rows=min(rows, settings.batching_of(name).max_batch_size),
                tolerance=tolerance,
            ),
        )


def _why_never_batched(spec: MethodSpec, settings: RunnerConfig) -> str:
    if not spec.batchable:
        return "it is not batchable"
    batching = settings.batching_of(spec.name)
    if not batching.enabled:
        return "the configuration turns batching off"
    return "max_batch_size is 1" if batching.max_batch_size == 1 else ""


def _lines(method: str, verdict: "Verdict") -> Iterator[str]:
    if verdict.skipped:
        yield f"not checked  {method}: {verdict.skipped}"
        return
    tried = ""
    if verdict.batches:
        sizes = ", ".join(map(str, verdict.batches))
        tried = f": {verdict.rows}, alone and in batches of {sizes}"
    yield f"{'WRONG' if verdict.findings else 'ok':<11}  {method}{tried}"
    for finding in verdict.findings:
        yield f"{_INDENT}{finding.what}"
        yield f"{_INDENT}-> {finding.advice}"
    for note in verdict.notes:
        yield f"{_INDENT}note: {note}"
