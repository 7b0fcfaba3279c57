"""`headway serve`: one process for development, several in production.

cli/main adds it. It resolves the configuration and runs the embedded server or the
supervisor.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from headway.cli import options
from headway.config.display import as_yaml, field_docs, render_config
from headway.config.resolution import ResolvedConfig
from headway.config.schema import ApiServerConfig, settings_of, type_name
from headway.core.log import configure
from headway.server.placement import ServicePlan, describe
from headway.service.loader import load_service, locate, service_dir

__all__ = ["serve"]


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

    def resolve_for(plan: ServicePlan) -> ResolvedConfig:
        return options.resolve_plan(
            plan,
            config_file=config_file,
            folder=service_dir(service, folder),
            flags={key.replace("__", "."): value for key, value in flags.items()},
        )

    if reload:
        _reload(service, folder, production)
    elif print_config:
        plan = describe(load_service(service, folder))
        click.echo(render_config(resolve_for(plan)), nl=False)
    elif production:
        _serve_production(service, folder, resolve_for)
    else:
        _serve_embedded(service, folder, resolve_for)


def _serve_production(
    service: str,
    working_dir: Path,
    resolve_for: Callable[[ServicePlan], ResolvedConfig],
) -> None:
    import asyncio

    from headway.server.supervisor import Supervisor

    configure("supervisor")

    def resolve_and_log(plan: ServicePlan) -> ResolvedConfig:
        config = resolve_for(plan)
        settings = config.config.logging
        configure("supervisor", settings.level, settings.format)
        return config

    supervisor = Supervisor(
        service=service,
        working_dir=working_dir.resolve(),
        resolve=resolve_and_log,
        announce=options.progress,
    )
    asyncio.run(supervisor.run())


def _serve_embedded(
    service: str,
    working_dir: Path,
    resolve_for: Callable[[ServicePlan], ResolvedConfig],
) -> None:
    import uvloop

    from headway.server.embedded import EmbeddedServer

    configure("embedded")
    loaded = load_service(service, working_dir)
    config = resolve_for(describe(loaded))
    settings = config.config.logging
    configure("embedded", settings.level, settings.format)
    server = EmbeddedServer(service=loaded, config=config)
    uvloop.run(server.run(options.progress))


def _reload(service: str, working_dir: Path, production: bool) -> None:
    from headway.cli.reload import run_reloading

    if production:
        raise click.UsageError("--reload is for development: leave out --production")
    arguments = [argument for argument in sys.argv[1:] if argument != "--reload"]
    run_reloading(arguments, service_dir(service, working_dir))
