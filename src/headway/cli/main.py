"""The `headway` command: its subcommands; errors are printed as one line.

The console script and `python -m headway` call `main`.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

import click

from headway.core.version import __version__
from headway.errors import HeadwayError

_COMMANDS = ("serve", "check", "models", "load", "tune", "walk")


class _Commands(click.Group):
    """Imports the module of a command when it runs, so that `serve` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(f"headway.cli.{cmd_name}"), cmd_name
        )
        return command


def _flavour() -> str:
    """Return whether the modules on the request path are compiled."""
    spec = find_spec("headway.ipc.frames")
    interpreted = spec is None or str(spec.origin).endswith(".py")
    return "interpreted" if interpreted else "compiled"


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(f"{__version__} ({_flavour()})", prog_name="headway")
def headway() -> None:
    """Serve Python models under heavy traffic."""


def main() -> None:
    """Run the command; a HeadwayError becomes one line and exit code 1."""
    try:
        headway()
    except HeadwayError as error:
        click.echo(f"headway: error: {error.message}", err=True)
        sys.exit(1)
