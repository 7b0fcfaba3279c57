"""`headway serve`: one process for development, several in production.

cli/main adds it. It resolves the configuration and runs the embedded server or the
supervisor; with --reload, itself in a child process (watchfiles, the extra `reload`).
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from headway.cli import options
from headway.config.display import as_yaml, field_docs, render_config
from headway.config.resolution import ResolvedConfig
from headway.config.schema import ApiServerConfig, settings_of, type_name
from headway.core.log import configure
from headway.errors import MissingExtraError
from headway.server.placement import ServicePlan, describe
from headway.service.loader import load_service, locate, service_dir

_WATCHED = frozenset({".py", ".yaml", ".yml", ".json", ".toml"})
_STOP_S = 35.0


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each setting of the API server."""
    docs = field_docs()
    for setting in reversed([*settings_of(ApiServerConfig, ("api_server",))]):
        if len(setting.path) == 2:  # settings of sub-sections have no flags
            command = click.option(
                *setting.flags,
                "__".join(setting.path),
                metavar=type_name(setting.value_type),
                help=f"{docs[setting.doc]} Default: {as_yaml(setting.default)}.",
            )(command)
    return command


@click.command()
@click.argument("service")
@click.option(
    "--production",
    is_flag=True,
    help="Run several API workers, and each runner in its own processes.",
)
@click.option("--development", is_flag=True, hidden=True, help="The default.")
@click.option("--reload", is_flag=True, help="Restart when a source file changes.")
@options.config_option
@options.working_dir_option
@click.option(
    "--print-config",
    is_flag=True,
    help="Print every setting and its source, and exit.",
)
@_with_settings
def serve(
    service: str,
    production: bool,
    development: bool,
    reload: bool,
    config_file: Path | None,
    working_dir: Path | None,
    print_config: bool,
    **flags: Any,
) -> None:
    """Serve a SERVICE, as in `service:svc` or `path/to/service.py:svc`.

    Swagger UI is at /, metrics are at /metrics. SIGTERM and Ctrl-C drain: accepted
    requests are answered first.
    """
    if production and development:
        raise click.UsageError("--production and --development are mutually exclusive")
    service, folder = locate(service, working_dir)
    below = service_dir(service, folder)
    if reload:
        if production:
            raise click.UsageError(
                "--reload is for development: leave out --production"
            )
        _reload([word for word in sys.argv[1:] if word != "--reload"], below)
        return

    def resolve(plan: ServicePlan) -> ResolvedConfig:
        keys = {key.replace("__", "."): value for key, value in flags.items()}
        return plan.resolve(config_file=config_file, folder=below, flags=keys)

    if print_config:
        plan = describe(load_service(service, folder))
        click.echo(render_config(resolve(plan)), nl=False)
        return
    process = "supervisor" if production else "embedded"
    configure(process)

    def resolve_and_configure(plan: ServicePlan) -> ResolvedConfig:
        config = resolve(plan)
        settings = config.config.logging
        configure(process, settings.level, settings.format)
        return config

    if production:
        _serve_production(service, folder, resolve_and_configure)
    else:
        _serve_embedded(service, folder, resolve_and_configure)


def _serve_production(
    service: str, folder: Path, resolve: Callable[[ServicePlan], ResolvedConfig]
) -> None:
    import asyncio

    from headway.server.supervisor import Supervisor

    supervisor = Supervisor(
        service=service,
        working_dir=folder.resolve(),
        resolve=resolve,
        announce=options.progress,
    )
    asyncio.run(supervisor.run())


def _serve_embedded(
    service: str, folder: Path, resolve: Callable[[ServicePlan], ResolvedConfig]
) -> None:
    import uvloop

    from headway.server.embedded import EmbeddedServer

    loaded = load_service(service, folder)
    server = EmbeddedServer(service=loaded, config=resolve(describe(loaded)))
    uvloop.run(server.run(options.progress))


def _reload(arguments: Sequence[str], folder: Path) -> None:
    """Serve until Ctrl-C or SIGTERM, and restart when a file in `folder` changes.

    A server that cannot start is restarted after the next change.

    Args:
        arguments: Arguments of `headway`, without --reload.
        folder: Folder to watch, with its subfolders.

    Raises:
        MissingExtraError: If watchfiles is not installed.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise MissingExtraError(
            "--reload needs watchfiles: pip install 'headway[reload]'"
        ) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = [sys.executable, "-m", "headway", *arguments]
    server = subprocess.Popen(command)
    try:
        for changes in watchfiles.watch(folder, raise_interrupt=True):
            files = (Path(path) for _, path in changes)
            names = sorted({file.name for file in files if file.suffix in _WATCHED})
            if names:
                click.echo(f"{', '.join(names)} changed: restarting", err=True)
                _stop(server)
                server = subprocess.Popen(command)
    except KeyboardInterrupt:
        pass  # the normal end
    finally:
        _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
