"""The `headway` command: its subcommands, and errors as one line.

The console script and `python -m headway` call `main`.
"""

import sys
from importlib.util import find_spec

import click

from headway.cli.check import check
from headway.cli.load import load
from headway.cli.models import models
from headway.cli.serve import serve
from headway.cli.tune import tune
from headway.cli.walk import walk
from headway.core.version import __version__
from headway.errors import HeadwayError

__all__ = ["main"]


def _flavour() -> str:
    """Return whether the modules that a request goes through are compiled."""
    spec = find_spec("headway.ipc.frames")
    interpreted = spec is None or str(spec.origin).endswith(".py")
    return "interpreted" if interpreted else "compiled"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{__version__} ({_flavour()})", prog_name="headway")
def headway() -> None:
    """Serve Python models under heavy traffic."""


headway.add_command(serve)
headway.add_command(check)
headway.add_command(models)
headway.add_command(load)
headway.add_command(tune)
headway.add_command(walk)


def main() -> None:
    """Run the command; an error of Headway's is one line and exit code 1."""
    try:
        headway()
    except HeadwayError as error:
        click.echo(f"headway: error: {error.message}", err=True)
        sys.exit(1)
