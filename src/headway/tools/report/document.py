"""The content of a report, and the facts about the machine.

The reports of the tuner, the walk and load tests consist of it; page renders them.
"""

import datetime
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec

from headway.core.version import __version__
from headway.server.placement import available_cores

_PACKAGES = ("uvloop", "httptools", "msgspec", "numpy", "locust")
"""Packages that affect a latency."""


class Series(msgspec.Struct, frozen=True):
    """A line, or the points or bars of one colour."""

    name: str
    xs: Sequence[float | str]
    """Numbers, or names of categories; the same kind in all series of a chart."""
    ys: Sequence[float | None]
    """One for each x; None and values that are not finite are gaps."""


class Chart(msgspec.Struct, frozen=True):
    """A chart of one or more series."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    kind: Literal["line", "bar", "points"] = "line"
    log_x: bool = False
    log_y: bool = False
    note: str = ""


class Table(msgspec.Struct, frozen=True):
    """Texts in rows and columns; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Section(msgspec.Struct, frozen=True):
    """A heading with text, charts, tables and code, in this order."""

    title: str
    text: str = ""
    """An empty line separates paragraphs."""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    code: str = ""
    """Shown verbatim, for example the content of a file."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report."""

    title: str
    summary: str
    """The result, in a sentence or two."""
    facts: Sequence[tuple[str, str]]
    """How it was measured: the command and the machine, see `surroundings`."""
    sections: Sequence[Section]
    problems: Sequence[str] = ()
    """Reasons to doubt the result."""
    data: object = None
    """The raw results, anything that msgspec encodes. The reader can save them."""


def surroundings() -> list[tuple[str, str]]:
    """Return the facts about this command and machine: name and value."""
    command = shlex.join(["headway", *sys.argv[1:]])
    now = datetime.datetime.now().astimezone()
    return [
        ("Command", command.encode("utf-8", "replace").decode()),
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
