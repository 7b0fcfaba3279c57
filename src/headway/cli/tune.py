"""`headway tune`: the settings that keep a latency at the highest rate of requests.

cli/main adds it; traffic/tuning does the work, this prints and writes files.
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headway.cli.report_option import command_words, report_option, save_report
from headway.cli.service_options import (
    config_option,
    read_document,
    resolve_plan,
    working_dir_option,
)
from headway.core.clock import MonotonicClock
from headway.errors import TrafficError
from headway.server.placement import available_cores, describe
from headway.service.loader import load_service, locate, service_dir

if TYPE_CHECKING:
    from headway.tools.tune.tuner import TuneJob, Tuner

__all__ = ["tune"]

_INTERRUPTED = 130


@click.command()
@click.argument("service")
@click.option("--p99", "p99", required=True, help="Latency to keep, as in 50ms.")
@click.option(
    "--time", "time_", default="3m", show_default=True, help="Time that it may take."
)
@click.option("--route", help="Path of the API, if the service has several.")
@click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the body of each request. Default: the API's documented sample.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="headway.yaml",
    show_default=True,
    help="The configuration to write.",
)
@click.option("--force", is_flag=True, help="Overwrite it if it is there.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="headway-tune.json",
    show_default=True,
    help="What was measured: the same command goes on from it.",
)
@report_option
@config_option
@working_dir_option
def tune(
    service: str,
    p99: str,
    time_: str,
    route: str | None,
    body: Path | None,
    output: Path,
    force: bool,
    state_file: Path,
    report_file: Path | None,
    config_file: Path | None,
    working_dir: Path | None,
) -> None:
    """Find the settings with which a SERVICE keeps a latency at the highest rate.

    Requests come at a rate of their own, whether answered or not. 99 in 100 have to be
    answered within --p99, and at most 1 in 1,000 may fail. What is found is written as
    a configuration for `headway serve --production --config`.
    """
    from headway.tools.duration import parse_seconds
    from headway.tools.report.page import check_place
    from headway.tools.tune.probe import Target
    from headway.tools.tune.tuner import Tuner

    if report_file is not None:
        check_place(report_file)
    target = Target(p99_ms=parse_seconds(p99, of="--p99") * 1000)
    time_s = parse_seconds(time_, of="--time")
    job = _job(
        service,
        target,
        route=route,
        body=body.read_bytes() if body else None,
        state_file=state_file,
        config_file=config_file,
        working_dir=working_dir,
    )
    if job.state.trials:
        click.echo(
            f"going on from {state_file}: {len(job.state.trials)} trials", err=True
        )
    tuner = Tuner(
        job=job,
        time_s=time_s,
        clock=MonotonicClock(),
        progress=lambda line: click.echo(line, err=True),
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        tuner.run()
    except KeyboardInterrupt:
        _report(job, tuner, report_file, is_stopped=True)
        click.echo(
            f"stopped: {len(tuner.trials)} trials are in {state_file}; the same "
            "command goes on from there",
            err=True,
        )
        raise SystemExit(_INTERRUPTED) from None
    _report(job, tuner, report_file, is_stopped=False)
    _write(_found(job, tuner), output, force=force)


def _job(
    service: str,
    target: Any,
    *,
    route: str | None,
    body: bytes | None,
    state_file: Path,
    config_file: Path | None,
    working_dir: Path | None,
) -> "TuneJob":
    from headway.tools.sample_request import question_of
    from headway.tools.tune.grid import grid_of
    from headway.tools.tune.state import fingerprint, load
    from headway.tools.tune.tuner import TuneJob

    service, folder = locate(service, working_dir)
    loaded = load_service(service, folder)
    plan = describe(loaded)
    config = resolve_plan(
        plan, config_file=config_file, folder=service_dir(service, folder), flags={}
    )
    question = question_of(loaded, route=route, body=body)
    grid = grid_of(plan, config, available_cores())
    document = read_document(config.file)
    mark = fingerprint(
        service=loaded,
        folder=folder,
        question=question,
        target_ms=target.p99_ms,
        grid=grid,
        document=document,
    )
    return TuneJob(
        service=service,
        working_dir=folder.resolve(),
        document=document,
        grid=grid,
        question=question,
        target=target,
        state_file=state_file,
        state=load(state_file, mark),
    )


def _report(
    job: "TuneJob", tuner: "Tuner", report_file: Path | None, *, is_stopped: bool
) -> None:
    from headway.tools.report.machine import surroundings
    from headway.tools.tune.tune_report import tune_report

    if report_file is None:
        return
    facts = surroundings(command_words())
    report = tune_report(job, tuner.trials, facts=facts, is_stopped=is_stopped)
    save_report(report, report_file)


def _found(job: "TuneJob", tuner: "Tuner") -> str:
    """Return the text of the configuration that was found.

    Raises:
        TrafficError: If the target was kept at no rate, or nothing was measured.
    """
    from headway.tools.tune.search import best
    from headway.tools.tune.verdict import configuration, nothing_found

    found = best(tuner.trials)
    if found is None:
        raise TrafficError(nothing_found(job.grid, job.target, tuner.trials))
    confirmed = "" if found.confirms else ", which there was no time to confirm"
    click.echo(
        f"{found.per_s:,.0f}/s within {job.target.p99_ms:g} ms{confirmed}: "
        f"{job.grid.text(found.setting)}",
        err=True,
    )
    return configuration(job, tuner.trials, found)


def _write(text: str, output: Path, *, force: bool) -> None:
    click.echo(text, nl=False)
    if output.exists() and not force:
        click.echo(
            f"{output} is there already and stays: --force overwrites it", err=True
        )
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrafficError(f"{output}: cannot be written: {error.strerror}") from error
    click.echo(f"written to {output}", err=True)
