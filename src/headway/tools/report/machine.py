"""What a measurement was made with: the command, the time, the machine, the versions.

Whoever makes a report calls it.
"""

import datetime
import platform
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from headway.core.version import __version__
from headway.server.placement import available_cores

__all__ = ["surroundings"]

_PACKAGES = ("uvloop", "httptools", "msgspec", "numpy", "locust")
"""Those that a latency may depend on."""


def surroundings(command: Sequence[str]) -> list[tuple[str, str]]:
    """Return what to know about a measurement that is made here and now.

    Args:
        command: Its words; what is no UTF-8 in them is replaced.
    """
    words = shlex.join(command).encode("utf-8", "replace").decode()
    now = datetime.datetime.now().astimezone()
    return [
        ("Command", words),
        ("Date", now.isoformat(sep=" ", timespec="seconds")),
        ("Processor", _found("/proc/cpuinfo", r"model name\s*:\s*(.+)", _machine())),
        ("Cores", str(available_cores())),
        ("Memory", _memory()),
        ("System", f"{platform.system()} {platform.release()}"),
        ("Headway", __version__),
        ("Python", platform.python_version()),
        *_versions(),
    ]


def _machine() -> str:
    return platform.machine() or "unknown"


def _memory() -> str:
    kib = _found("/proc/meminfo", r"MemTotal:\s+(\d+)", "")
    return f"{int(kib) / 2**20:.1f} GiB" if kib else "unknown"


def _found(file: str, pattern: str, default: str) -> str:
    try:
        found = re.search(pattern, Path(file).read_text(encoding="utf-8"))
    except OSError:
        return default
    return found[1].strip() if found else default


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
