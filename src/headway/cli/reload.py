"""`headway serve --reload`: restarts a child process after each change.

cli/serve calls it; watchfiles watches the folder (the extra `reload`).
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from headway.errors import MissingExtraError

__all__ = ["run_reloading"]

_WATCHED = frozenset({".py", ".yaml", ".yml", ".json", ".toml"})
_STOP_S = 35.0


def run_reloading(arguments: Sequence[str], folder: Path) -> None:
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
