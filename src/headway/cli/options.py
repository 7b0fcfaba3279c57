"""Options and steps that several commands share.

check, load, serve, tune and walk load a service and its configuration; load, tune and
walk measure it, can be interrupted, and write reports.
"""

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import yaml

from headway.config.resolution import ResolvedConfig
from headway.errors import TrafficError
from headway.server.placement import ServicePlan, describe
from headway.service.loader import load_service, locate, service_dir
from headway.service.service import ServiceDefinition
from headway.tools.report.document import Report
from headway.tools.report.page import check_place, write_report

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $HEADWAY_CONFIG, otherwise headway.yaml beside "
    "the service.",
)
working_dir_option = click.option(
    "--working-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the service's modules. Default: the current folder, or the folder "
    "of a SERVICE that is a path.",
)
body_option = click.option(
    "--body",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the body of each request. Default: the sample in the API's "
    "documentation.",
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all figures to this file, as JSON.",
)


def _check_report(
    _context: click.Context, _option: click.Parameter, file: Path | None
) -> Path | None:
    if file is not None:
        check_place(file)
    return file


report_option = click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    callback=_check_report,
    help="Write a report to this file: one HTML page with charts.",
)


class LoadedService(NamedTuple):
    """A service, imported, with its configuration."""

    name: str
    """`module:svc`."""
    folder: Path
    service: ServiceDefinition
    plan: ServicePlan
    config: ResolvedConfig
    document: Mapping[str, Any]
    """Content of its configuration file."""


def open_service(
    service: str, config_file: Path | None, working_dir: Path | None
) -> LoadedService:
    """Import a service and resolve its configuration.

    Args:
        service: SERVICE of the command line.
        config_file: Value of `--config`.
        working_dir: Value of `--working-dir`.

    Raises:
        ConfigError: If a setting is wrong.
        ServiceImportError: If the service cannot be imported.
    """
    name, folder = locate(service, working_dir)
    loaded = load_service(name, folder)
    plan = describe(loaded)
    config = plan.resolve(config_file=config_file, folder=service_dir(name, folder))
    document = read_document(config.file)
    return LoadedService(name, folder.resolve(), loaded, plan, config, document)


def read_document(file: str | None) -> Mapping[str, Any]:
    """Return the content of a configuration file that `resolve` has checked."""
    if file is None:
        return {}
    return yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}


def is_interrupted(run: Callable[[], None]) -> bool:
    """Run to the end, or to Ctrl-C, SIGTERM or SIGHUP; return whether one came."""
    stop_on_signals()
    try:
        run()
    except KeyboardInterrupt:
        return True
    return False


def stop_on_signals() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def progress(line: str) -> None:
    """Print a line to standard error."""
    click.echo(line, err=True)


def write_json(file: Path, value: object) -> None:
    """Write a value as JSON, or raise a TrafficError."""
    write_file(file, msgspec.json.format(msgspec.json.encode(value), indent=1))


def write_file(file: Path, content: bytes) -> None:
    """Write a file, or raise a TrafficError."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise TrafficError(f"{file}: cannot be written: {error.strerror}") from error


def save_report(report: Report, file: Path) -> None:
    """Write a report and print its path, or raise a TrafficError."""
    write_report(report, file)
    progress(f"report written to {file}")
