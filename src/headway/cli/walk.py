"""`headway walk`: measures a service in stages, from plain to tuned.

cli/main adds it; tools/walk does the work.
"""

from pathlib import Path

import click

from headway.cli import options
from headway.core.clock import MonotonicClock
from headway.server.placement import available_cores
from headway.tools.options import parse_ladder, parse_seconds
from headway.tools.report.document import surroundings
from headway.tools.sample_request import sample_of_service
from headway.tools.tune.grid import grid_of
from headway.tools.tune.probe import Target
from headway.tools.walk.stage import plain_stages
from headway.tools.walk.walk import Walk, WalkPlan
from headway.tools.walk.walk_report import result_lines, walk_report

_LADDER = "50/50,200/200,400/400,1000/500"
_QUICK_LADDER = "20/20,100/100"


@click.command()
@click.argument("service")
@click.option("--p99", default="50ms", help="Latency to keep.")
@click.option("--ladder", help=f"Load steps as USERS/SPAWN_RATE. Default: {_LADDER}.")
@click.option(
    "--step-time",
    "--rung-time",
    "step_time",
    default="4s",
    help="Duration of each load step after all of its users are spawned.",
)
@click.option(
    "--tune-time",
    default="45s",
    help="Time to find the settings of the last stage.",
)
@click.option(
    "--tuned",
    type=click.Path(path_type=Path),
    help="Configuration of the last stage, written by `headway tune`.",
)
@click.option("--quick", is_flag=True, help="Few users and rough figures.")
@click.option("--route", help="Path of the API, if the service has several.")
@options.body_option
@options.json_option
@options.report_option
@options.config_option
@options.working_dir_option
def walk(
    service: str,
    p99: str,
    ladder: str | None,
    step_time: str,
    tune_time: str,
    tuned: Path | None,
    quick: bool,
    route: str | None,
    body: Path | None,
    json_file: Path | None,
    report_file: Path | None,
    config_file: Path | None,
    working_dir: Path | None,
) -> None:
    """Serve a SERVICE in stages and show the gain of each optimisation.

    The stages are sync, async, several workers, one shared model with batching, and
    tuned. Each is served on a free port and measured with Locust's users, then with
    requests at a fixed rate.
    """
    p99_ms = parse_seconds(p99, of="--p99") * 1000
    steps = parse_ladder(ladder or (_QUICK_LADDER if quick else _LADDER))
    step_s = parse_seconds(step_time, of="--step-time")
    tune_s = parse_seconds(tune_time, of="--tune-time")
    opened = options.open_service(service, config_file, working_dir)
    if tuned is not None:
        # Raises if it is wrong.
        opened.plan.resolve(config_file=tuned, folder=opened.folder)
    cores, content = available_cores(), body.read_bytes() if body else None
    running = Walk(
        plan=WalkPlan(
            service=opened.name,
            working_dir=opened.folder,
            stages=plain_stages(opened.name, opened.folder, opened.document, cores),
            document=opened.document,
            tuned=options.read_document(str(tuned)) if tuned else None,
            grid=grid_of(opened.plan, opened.config, cores),
            sample=sample_of_service(opened.service, route=route, body=content),
            ladder=steps,
            step_s=min(step_s, 2.0) if quick else step_s,
            target=Target(p99_ms=p99_ms),
            tune_s=min(tune_s, 30.0) if quick else tune_s,
            precision=1.3 if quick else 1.08,
        ),
        clock=MonotonicClock(),
        progress=options.progress,
    )
    is_stopped = options.is_interrupted(running.run)
    for line in result_lines(running.stages, p99_ms):
        click.echo(line)
    if json_file is not None and running.stages:
        options.write_json(json_file, running.stages)
    if report_file is not None:
        report = walk_report(
            opened.name,
            running.stages,
            p99_ms=p99_ms,
            facts=surroundings(),
            is_stopped=is_stopped,
        )
        options.save_report(report, report_file)
    if is_stopped:
        options.progress("stopped: this is what was measured")
        raise SystemExit(options.INTERRUPTED)
