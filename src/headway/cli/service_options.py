"""What commands that load a service have in common: where it is, and its settings.

cli/serve, cli/check, cli/load, cli/tune and cli/walk use it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from headway.config.resolution import ResolvedConfig, resolve
from headway.server.placement import ServicePlan

__all__ = ["config_option", "read_document", "resolve_plan", "working_dir_option"]

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The configuration. Default: $HEADWAY_CONFIG, else headway.yaml beside the "
    "service.",
)
working_dir_option = click.option(
    "--working-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the service's modules are looked for. Default: here, or the folder of "
    "a SERVICE that is a path.",
)


def resolve_plan(
    plan: ServicePlan,
    *,
    config_file: Path | None,
    folder: Path,
    flags: Mapping[str, object],
) -> ResolvedConfig:
    """Return the settings that hold for a service.

    Args:
        plan: The service's description.
        config_file: As `--config` names it.
        folder: Of the service, for the configuration beside it.
        flags: Dotted key to what a flag gave; None: it was not given.

    Raises:
        ConfigError: If a setting is wrong.
    """
    return resolve(
        config_file=config_file,
        service_dir=folder,
        environ=os.environ,
        flags=flags,
        runner_options={runner.name: runner.options for runner in plan.runners},
        runner_methods={runner.name: list(runner.methods) for runner in plan.runners},
    )


def read_document(file: str | None) -> Mapping[str, Any]:
    """Return the content of a configuration file that `resolve` has checked."""
    if file is None:
        return {}
    return yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
