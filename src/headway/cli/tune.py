"""`headway tune`: finds the settings that keep a latency at the highest request rate.

cli/main adds it; tools/tune does the work.
"""

from pathlib import Path

import click

from headway.cli import options
from headway.core.clock import MonotonicClock
from headway.errors import TrafficError
from headway.server.placement import available_cores
from headway.tools.options import parse_seconds
from headway.tools.report.document import surroundings
from headway.tools.sample_request import sample_of_service
from headway.tools.tune.grid import grid_of
from headway.tools.tune.job import TuneJob, resume
from headway.tools.tune.probe import Target
from headway.tools.tune.search import best
from headway.tools.tune.tune_report import tune_report
from headway.tools.tune.tuned_file import configuration, nothing_found
from headway.tools.tune.tuner import Tuner


@click.command()
@click.argument("service")
@click.option("--p99", "p99", required=True, help="Latency to keep, as in 50ms.")
@click.option("--time", "time_", default="3m", help="Time limit.")
@click.option("--route", help="Path of the API, if the service has several.")
@options.body_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="headway.yaml",
    help="Configuration file to write.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing --output file.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="headway-tune.json",
    help="File with the trials so far; the same command resumes from it.",
)
@options.report_option
@options.config_option
@options.working_dir_option
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

    Requests are sent at a fixed rate, however slow the answers are. 99% must be
    answered within --p99, and at most 0.1% may fail. The result is a configuration for
    `headway serve --production --config`.
    """
    target = Target(p99_ms=parse_seconds(p99, of="--p99") * 1000)
    time_s = parse_seconds(time_, of="--time")
    opened = options.open_service(service, config_file, working_dir)
    content = body.read_bytes() if body else None
    job = resume(
        opened.service,
        TuneJob(
            service=opened.name,
            working_dir=opened.folder,
            document=opened.document,
            grid=grid_of(opened.plan, opened.config, available_cores()),
            sample=sample_of_service(opened.service, route=route, body=content),
            target=target,
            state_file=state_file,
        ),
    )
    if job.state.trials:
        options.progress(f"resuming from {state_file}: {len(job.state.trials)} trials")
    tuner = Tuner(
        job=job, time_s=time_s, clock=MonotonicClock(), progress=options.progress
    )
    is_stopped = options.is_interrupted(tuner.run)
    if report_file is not None:
        facts = surroundings()
        report = tune_report(job, tuner.trials, facts=facts, is_stopped=is_stopped)
        options.save_report(report, report_file)
    if is_stopped:
        options.progress(
            f"stopped: {len(tuner.trials)} trials are in {state_file}; run the same "
            "command to resume"
        )
        raise SystemExit(options.INTERRUPTED)
    text = _best_configuration(job, tuner)
    click.echo(text, nl=False)
    if output.exists() and not force:
        options.progress(f"{output} exists and is kept: --force overwrites it")
        return
    options.write_file(output, text.encode())
    options.progress(f"written to {output}")


def _best_configuration(job: TuneJob, tuner: Tuner) -> str:
    """Return the text of the best configuration.

    Raises:
        TrafficError: If no rate kept the target, or nothing was measured.
    """
    found = best(tuner.trials)
    if found is None:
        raise TrafficError(nothing_found(job.grid, job.target, tuner.trials))
    confirmed = "" if found.confirms else " (not confirmed: out of time)"
    options.progress(
        f"{found.per_s:,.0f}/s within {job.target.p99_ms:g} ms{confirmed}: "
        f"{job.grid.text(found.setting)}"
    )
    return configuration(job, tuner.trials, found)
