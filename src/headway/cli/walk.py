"""`headway walk`: a service in stages, from plain to tuned, under the same load.

cli/main adds it; traffic/walking does the work, this prints it.
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

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
    from headway.tools.walk.walk import Walk

__all__ = ["walk"]

_INTERRUPTED = 130
_LADDER = "50/50,200/200,400/400,1000/500"
_QUICK_LADDER = "20/20,100/100"


@click.command()
@click.argument("service")
@click.option("--p99", default="50ms", show_default=True, help="Latency to keep.")
@click.option(
    "--ladder",
    help=f"Users and users per second of each rung. Default: {_LADDER}.",
)
@click.option(
    "--rung-time",
    default="4s",
    show_default=True,
    help="Of each rung, all users there.",
)
@click.option(
    "--tune-time", default="45s", show_default=True, help="For finding the last stage."
)
@click.option(
    "--tuned",
    type=click.Path(path_type=Path),
    help="Configuration of the last stage, as `headway tune` wrote it.",
)
@click.option("--quick", is_flag=True, help="A small ladder and rough figures.")
@click.option("--route", help="Path of the API, if the service has several.")
@click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the body of each request. Default: the API's documented sample.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write all figures there.",
)
@report_option
@config_option
@working_dir_option
def walk(
    service: str,
    p99: str,
    ladder: str | None,
    rung_time: str,
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
    """Serve a SERVICE in stages and show what each optimisation brings.

    Sync, async, several workers, one shared model with batching, tuned: each is served
    on a free port, visited by Locust's users and sent requests at a rate of their own.
    """
    from headway.tools.duration import parse_seconds
    from headway.tools.load.ladder import parse_ladder
    from headway.tools.report.page import check_place
    from headway.tools.sample_request import question_of
    from headway.tools.tune.grid import grid_of
    from headway.tools.tune.probe import Target
    from headway.tools.walk.stage import plain_stages
    from headway.tools.walk.walk import Walk, WalkPlan

    if report_file is not None:
        check_place(report_file)
    target = Target(p99_ms=parse_seconds(p99, of="--p99") * 1000)
    rungs = parse_ladder(ladder or (_QUICK_LADDER if quick else _LADDER))
    rung_s = parse_seconds(rung_time, of="--rung-time")
    tune_s = parse_seconds(tune_time, of="--tune-time")
    service, folder = locate(service, working_dir)
    loaded = load_service(service, folder)
    plan = describe(loaded)
    config = resolve_plan(
        plan, config_file=config_file, folder=service_dir(service, folder), flags={}
    )
    if tuned is not None:
        # Says what is wrong with it, if anything.
        resolve_plan(plan, config_file=tuned, folder=folder, flags={})
    document, cores = read_document(config.file), available_cores()
    walking = Walk(
        plan=WalkPlan(
            service=service,
            working_dir=folder.resolve(),
            stages=plain_stages(service, folder.resolve(), document, cores),
            document=document,
            tuned=read_document(str(tuned)) if tuned else None,
            grid=grid_of(plan, config, cores),
            question=question_of(
                loaded, route=route, body=body.read_bytes() if body else None
            ),
            ladder=rungs,
            rung_s=min(rung_s, 2.0) if quick else rung_s,
            target=target,
            tune_s=min(tune_s, 30.0) if quick else tune_s,
            precision=1.3 if quick else 1.08,
        ),
        clock=MonotonicClock(),
        progress=lambda line: click.echo(line, err=True),
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    is_stopped = False
    try:
        walking.run()
    except KeyboardInterrupt:
        is_stopped = True
    _show(walking, target.p99_ms, json_file)
    if report_file is not None:
        _report(walking, service, target.p99_ms, report_file, is_stopped=is_stopped)
    if is_stopped:
        click.echo("stopped: this is what was measured", err=True)
        raise SystemExit(_INTERRUPTED)


def _report(
    walking: "Walk", service: str, p99_ms: float, file: Path, *, is_stopped: bool
) -> None:
    from headway.tools.report.machine import surroundings
    from headway.tools.walk.walk_report import walk_report

    report = walk_report(
        service,
        walking.stages,
        p99_ms=p99_ms,
        facts=surroundings(command_words()),
        is_stopped=is_stopped,
    )
    save_report(report, file)


def _show(walking: "Walk", p99_ms: float, json_file: Path | None) -> None:
    from headway.tools.walk.comparison import table, verdicts

    if not walking.stages:
        return
    for line in ["", *table(walking.stages, p99_ms), "", *verdicts(walking.stages)]:
        click.echo(line)
    if json_file is None:
        return
    content = msgspec.json.format(msgspec.json.encode(walking.stages), indent=1)
    try:
        json_file.write_bytes(content)
    except OSError as error:
        raise TrafficError(
            f"{json_file}: cannot be written: {error.strerror}"
        ) from error
