"""`headway load`: Locust's users against a server, rung by rung, and what both measure.

cli/main adds it; traffic/loading does the work, this prints it.
"""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
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
from headway.errors import TrafficError
from headway.server.placement import describe
from headway.service.loader import load_service, locate, service_dir

if TYPE_CHECKING:
    from headway.tools.load.ladder import Rung
    from headway.tools.load.result import LoadResult

__all__ = ["load"]

_INTERRUPTED = 130
_FAILED = 1
_MOST_PROCESSES = 64
_SHOWN_ERRORS = 5
_USERS = 50
_SPAWN_PER_S = 10.0


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    target: str
    ladder: "tuple[Rung, ...]"
    rung_s: float
    locustfile: Path | None
    per_s: float | None
    route: str | None
    body: Path | None
    workers: int
    web_port: int | None
    json_file: Path | None
    report_file: Path | None
    config_file: Path | None
    working_dir: Path | None


@click.command()
@click.argument("target")
@click.option("--users", type=click.IntRange(1, 100_000), help="Default: 50.")
@click.option("--spawn-rate", type=float, help="Users that come a second. Default: 10.")
@click.option(
    "--run-time",
    default="30s",
    show_default=True,
    help="Of each rung, the coming of its users included.",
)
@click.option(
    "--ladder",
    help="Users and users per second of each rung, as in 50/10,200/50,1000/100.",
)
@click.option(
    "--locustfile",
    "-f",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What the users do. Default: send the samples of the service's documentation.",
)
@click.option(
    "--rate",
    "per_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests per second of each user, whatever the server does (Poisson); "
    "--users is 1 then. Default: users wait for their answers, and 0.01 to 2 s more.",
)
@click.option(
    "--write-locustfile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only write what the users would do there, to be edited.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Processes that make the load.",
)
@click.option("--ui", is_flag=True, help="Locust's own page as well, until Ctrl-C.")
@click.option("--ui-port", type=click.IntRange(1, 65535), default=8089, hidden=True)
@click.option("--route", help="Path of the API, if not all are to be asked.")
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
    """Send Locust's users to TARGET, a URL or a SERVICE, which is served meanwhile.

    They come rung by rung. The table has their figures and the server's own of the same
    seconds.
    """
    from headway.tools.duration import parse_seconds
    from headway.tools.report.page import check_place

    if report_file is not None:
        check_place(report_file)
    job = _Job(
        target=target,
        ladder=_ladder(ladder, users, spawn_rate, is_open=per_s is not None),
        rung_s=parse_seconds(run_time, of="--run-time"),
        locustfile=locustfile,
        per_s=per_s,
        route=route,
        body=body,
        workers=workers,
        web_port=ui_port if ui else None,
        json_file=json_file,
        report_file=report_file,
        config_file=config_file,
        working_dir=working_dir,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="headway-load-") as name,
            _target(job, Path(name)) as url,
        ):
            file, users_from = _users(job, url, Path(name))
            if write_locustfile is not None:
                _write(write_locustfile, file.read_bytes())
                return
            failed = _run(job, url, file, users_from)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        raise SystemExit(_INTERRUPTED) from None
    raise SystemExit(_FAILED if failed else 0)


def _ladder(
    ladder: str | None, users: int | None, spawn_rate: float | None, *, is_open: bool
) -> "tuple[Rung, ...]":
    from headway.tools.load.ladder import parse_ladder

    if ladder is None:
        count = users or (1 if is_open else _USERS)
        rate = _SPAWN_PER_S if spawn_rate is None else spawn_rate
        return parse_ladder(f"{count}/{rate:f}")
    if users is not None or spawn_rate is not None:
        raise TrafficError("--ladder says how many users come: leave out --users")
    return parse_ladder(ladder)


@contextlib.contextmanager
def _target(job: _Job, scratch: Path) -> Iterator[str]:
    """Yield the URL of the server, which is started if it is none yet."""
    from headway.tools.load.target import as_url, check_listening
    from headway.tools.served import Served
    from headway.tools.tune.tuned_file import render

    url = as_url(job.target)
    if url is not None:
        check_listening(url)
        yield url
        return
    service, folder = locate(job.target, job.working_dir)
    config = resolve_plan(
        describe(load_service(service, folder)),
        config_file=job.config_file,
        folder=service_dir(service, folder),
        flags={},
    )
    file = scratch / "headway.yaml"
    file.write_text(render(read_document(config.file), {}), encoding="utf-8")
    with Served(
        service=service, working_dir=folder.resolve(), config_file=file
    ) as server:
        click.echo(f"{service} is served at {server.url}", err=True)
        yield server.url


def _users(job: _Job, url: str, scratch: Path) -> tuple[Path, str]:
    """Return the locustfile, and what its users do."""
    from headway.tools.load.target import api_document
    from headway.tools.load.users_file import closed_users, open_users
    from headway.tools.sample_request import check_answer, question_in, questions_in

    if job.locustfile is not None:
        if job.per_s is not None or job.route is not None or job.body is not None:
            raise TrafficError(
                "--locustfile says what users do: leave out --rate, --route and --body"
            )
        return job.locustfile.resolve(), job.locustfile.name
    document = api_document(url)
    if job.route is None and job.body is None:
        questions = questions_in(document, url)
    else:
        body = job.body.read_bytes() if job.body else None
        questions = [question_in(document, url, route=job.route, body=body)]
    for question in questions:
        check_answer(url, question)
    file = scratch / "users.py"
    file.write_text(
        closed_users(questions)
        if job.per_s is None
        else open_users(questions, job.per_s),
        encoding="utf-8",
    )
    routes = ", ".join(question.route for question in questions)
    how = "" if job.per_s is None else f", each user {job.per_s:g}/s"
    return file, f"the samples of {routes}{how}"


def _run(job: _Job, url: str, file: Path, users_from: str) -> bool:
    """Make the load, show what was measured, and return whether a request failed."""
    from headway.tools.load.load import Load, LoadPlan
    from headway.tools.load.progress import Progress

    progress = Progress(sys.stderr, job.ladder, job.rung_s)
    plan = LoadPlan(
        url=url,
        locustfile=file,
        users_from=users_from,
        ladder=job.ladder,
        rung_s=job.rung_s,
        processes=job.workers,
        web_port=job.web_port,
    )
    with Load(plan=plan, progress=progress) as making:
        if job.web_port is not None:
            click.echo(f"Locust's page: http://127.0.0.1:{job.web_port}", err=True)
        try:
            making.climb()
        finally:
            progress.close()
            _show(job, making.result)
        if job.web_port is not None:
            click.echo("Locust's page stays until Ctrl-C", err=True)
            with contextlib.suppress(KeyboardInterrupt):
                making.wait()
    return bool(making.result.failures or making.result.errors)


def _show(job: _Job, result: "LoadResult") -> None:
    from headway.tools.load.load_report import load_report
    from headway.tools.load.load_table import load_table
    from headway.tools.report.machine import surroundings

    if not result.rungs:
        return
    for line in load_table(result):
        click.echo(line)
    if result.failures:
        click.echo(
            f"\n{result.failures} of {result.requests} requests failed:", err=True
        )
    for error in result.errors[:_SHOWN_ERRORS]:
        click.echo(f"failed: {error}", err=True)
    if job.json_file is not None:
        _write(
            job.json_file, msgspec.json.format(msgspec.json.encode(result), indent=1)
        )
    if job.report_file is not None:
        facts = surroundings(command_words())
        save_report(load_report(result, facts=facts), job.report_file)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise TrafficError(f"{file}: cannot be written: {error.strerror}") from error
