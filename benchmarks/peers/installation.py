"""Creates an environment for each peer from its pinned requirements."""

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
    """Return the path of a server's interpreter; it exists after the installation."""
    if server in (HEADWAY, INTERPRETED):
        return Path(sys.executable)
    return FOLDER / server / "bin/python"


def is_installed(server: str) -> bool:
    """Return whether a server can be started; Headway needs scripts/compile."""
    if server == HEADWAY:
        return (COMPILED / "state").exists()
    return python_of(server).exists()


def requirements_of(peer: str) -> Path:
    """Return the file with the pinned requirements of a peer."""
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
    """Create the environment of a peer.

    Raises:
        subprocess.SubprocessError: If it fails or takes 15 minutes.
    """
    folder = FOLDER / peer
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "-r"]
    subprocess.run([*pip, str(requirements_of(peer))], check=True, timeout=_LIMIT_S)
