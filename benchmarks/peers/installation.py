"""An environment for each peer, from its pinned requirements, in an ignored folder."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.peers.catalogue import COMPILED, HEADWAY, INTERPRETED, ROOT
from headway.core.version import __version__

__all__ = ["FOLDER", "install", "is_installed", "python_of", "version_of"]

FOLDER: Final = ROOT / ".peers"
_LIMIT_S = 900.0


def python_of(server: str) -> Path:
    """Return the interpreter of a server; it is there once the server is installed."""
    if server in (HEADWAY, INTERPRETED):
        return Path(sys.executable)
    return FOLDER / server / "bin/python"


def is_installed(server: str) -> bool:
    """Return whether a server can be started; scripts/compile makes Headway so."""
    if server == HEADWAY:
        return (COMPILED / "state").exists()
    return python_of(server).exists()


def requirements_of(peer: str) -> Path:
    """Return the file that pins what a peer needs."""
    return ROOT / f"benchmarks/peers/services/{peer}/requirements.txt"


def version_of(server: str) -> str:
    """Return the version of a server, as pinned."""
    if server in (HEADWAY, INTERPRETED):
        return __version__
    for line in requirements_of(server).read_text().splitlines():
        name, _, version = line.partition("==")
        if name.lower() == server:
            return version
    return "unknown"


def install(peer: str) -> None:
    """Make the environment of a peer.

    Raises:
        subprocess.SubprocessError: If that fails, or takes a quarter of an hour.
    """
    folder = FOLDER / peer
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "-r"]
    subprocess.run([*pip, str(requirements_of(peer))], check=True, timeout=_LIMIT_S)
