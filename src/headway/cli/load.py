"""`headway load`: sends Locust's users to a server, and prints what both sides measure.

cli/main adds it; tools/load does the work.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from headway.cli import options
from headway.errors import TrafficError
from headway.tools.load.load import LoadPlan, LoadResult, LoadTest
from headway.tools.load.load_report import load_report
from headway.tools.load.locust_process import write_sample_users
from headway.tools.load.terminal import Progress, load_table
from headway.tools.options import LoadStep, parse_ladder, parse_seconds
from headway.tools.report.document import surroundings
from headway.tools.sample_request import as_url, check_listening
from headway.tools.server_process import ServerProcess
from headway.tools.tune.tuned_file import render

_SHOWN_ERRORS = 5
_USERS = 50
_SPAWN_PER_S = 10.0


@click.command()
@click.argument("target")
@click.option(
    "--users", type=click.IntRange(1, 100_000), help="Simulated users. Default: 50."
)
@click.option("--spawn-rate", type=float, help="Users spawned per second. Default: 10.")
@click.option(
    "--run-time",
    default="30s",
    help="Duration of each step, including the time to spawn its users.",
)
@click.option(
    "--ladder",
    help="Load steps as USERS/SPAWN_RATE, as in 50/10,200/50,1000/100.",
)
@click.option(
    "--locustfile",
    "-f",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File that defines the users. Default: users that send the samples in the "
    "service's documentation.",
)
@click.option(
    "--rate",
    "per_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests per second of each user (Poisson), however slow the answers are; "
    "--users defaults to 1. Default: users wait for their answers, plus 0.01 to 2 s.",
)
@click.option(
    "--write-locustfile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only write the locustfile to this file, for editing.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    help="Processes that generate the load.",
)
@click.option("--ui", is_flag=True, help="Also serve Locust's web page until Ctrl-C.")
@click.option("--ui-port", type=click.IntRange(1, 65535), default=8089, hidden=True)
@click.option("--route", help="Path of the API. Default: all APIs.")
@options.body_option
@options.json_option
@options.report_option
@options.config_option
@options.working_dir_option
def load(
    target: str,
    users: int | None,
    spawn_rate: float | None,
    run_time: str,
    ladder: str | None,
    locustfile: Path | None,
    per_s: float | None,
    write_locustfile: Path | None,
    workers: int,
    ui: bool,
    ui_port: int,
    route: str | None,
    body: Path | None,
    json_file: Path | None,
    report_file: Path | None,
    config_file: Path | None,
    working_dir: Path | None,
) -> None:
    """Send Locust's users to TARGET: a URL, or a SERVICE to serve meanwhile.

    The users come in load steps. The table shows what they measured, and the server's
    own figures of the same seconds.
    """
    steps = _load_steps(ladder, users, spawn_rate, is_open=per_s is not None)
    step_s = parse_seconds(run_time, of="--run-time")
    if locustfile is not None and (per_s, route, body) != (None, None, None):
        raise TrafficError(
            "--locustfile defines the users: leave out --rate, --route and --body"
        )
    options.stop_on_signals()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="headway-load-") as name,
            _served(target, Path(name), config_file, working_dir) as url,
        ):
            if locustfile is not None:
                file, users_from = locustfile.resolve(), locustfile.name
            else:
                file = Path(name) / "users.py"
                users_from = write_sample_users(file, url, route, body, per_s)
            if write_locustfile is not None:
                options.write_file(write_locustfile, file.read_bytes())
                return
            plan = LoadPlan(
                url=url,
                locustfile=file,
                users_from=users_from,
                ladder=steps,
                step_s=step_s,
                processes=workers,
                web_port=ui_port if ui else None,
            )
            failed = _run(plan, json_file, report_file)
    except KeyboardInterrupt:
        options.progress("stopped")
        raise SystemExit(options.INTERRUPTED) from None
    raise SystemExit(1 if failed else 0)


def _load_steps(
    ladder: str | None, users: int | None, spawn_rate: float | None, *, is_open: bool
) -> tuple[LoadStep, ...]:
    if ladder is None:
        count = users or (1 if is_open else _USERS)
        rate = _SPAWN_PER_S if spawn_rate is None else spawn_rate
        return parse_ladder(f"{count}/{rate:f}")
    if users is not None or spawn_rate is not None:
        raise TrafficError(
            "--ladder sets the users: leave out --users and --spawn-rate"
        )
    return parse_ladder(ladder)


@contextlib.contextmanager
def _served(
    target: str, scratch: Path, config_file: Path | None, working_dir: Path | None
) -> Iterator[str]:
    """Yield the URL of the server; a SERVICE is served meanwhile."""
    url = as_url(target)
    if url is not None:
        check_listening(url)
        yield url
        return
    opened = options.open_service(target, config_file, working_dir)
    file = scratch / "headway.yaml"
    file.write_text(render(opened.document, {}), encoding="utf-8")
    with ServerProcess(
        service=opened.name, working_dir=opened.folder, config_file=file
    ) as server:
        options.progress(f"{opened.name} is served at {server.url}")
        yield server.url


def _run(plan: LoadPlan, json_file: Path | None, report_file: Path | None) -> bool:
    """Run the load test, show its results, and return whether a request failed."""
    bars = Progress(sys.stderr, plan.ladder, plan.step_s)
    with LoadTest(plan=plan, progress=bars) as test:
        if plan.web_port is not None:
            options.progress(f"Locust's page: http://127.0.0.1:{plan.web_port}")
        try:
            test.run()
        finally:
            bars.close()
            _show(test.result, json_file, report_file)
        if plan.web_port is not None:
            options.progress("Locust's page stays until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                test.wait()
    return bool(test.result.failures or test.result.errors)


def _show(result: LoadResult, json_file: Path | None, report_file: Path | None) -> None:
    if not result.steps:
        return
    for line in load_table(result):
        click.echo(line)
    if result.failures:
        options.progress(f"\n{result.failures} of {result.requests} requests failed:")
    for error in result.errors[:_SHOWN_ERRORS]:
        options.progress(f"failed: {error}")
    if json_file is not None:
        options.write_json(json_file, result)
    if report_file is not None:
        report = load_report(result, facts=surroundings())
        options.save_report(report, report_file)
