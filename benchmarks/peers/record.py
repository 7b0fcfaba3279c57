"""The raw results as a file: a line for each measurement, appended as it is made.

The sitting writes it, the report reads it.
"""

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.wrk import Load

__all__ = ["RECORD", "Closed", "Facts", "Line", "Open", "Skipped", "Started", "append"]
__all__ += ["Measured", "latest", "read"]

RECORD: Final = Path(__file__).parents[1] / "results/peers.jsonl"


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """The first line of a sitting."""

    at: str
    commit: str
    command: str
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    wrk: str
    versions: dict[str, str]


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A server after its start and a second of load."""

    server: str
    model: str
    start_s: float
    pss_mib: float
    image_start_ms: float | None = None
    """Median from the last byte of an image to the start of its model."""


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """One run of wrk."""

    server: str
    model: str
    seconds: int
    load: Load


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Poisson traffic with a deadline of 1 s."""

    server: str
    model: str
    factor: float
    """Of the server's own best in the closed loops."""
    per_s: float
    seconds: int
    offered: int
    in_time: int
    statuses: str
    not_sent: int
    lag_p99_ms: float
    """Of the generator."""


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """What was not measured, and why."""

    server: str
    model: str
    why: str


Line = Facts | Started | Closed | Open | Skipped


def append(path: Path, line: Line) -> None:
    """Write a line at the end."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    """Return all lines.

    Raises:
        msgspec.ValidationError: If it holds something else.
    """
    return msgspec.json.Decoder(Line).decode_lines(path.read_bytes())


class Measured(msgspec.Struct, frozen=True):
    """One sitting."""

    facts: Facts
    lines: list[Started | Closed | Open | Skipped]


def latest(lines: list[Line]) -> list[Measured]:
    """Return the sittings, the last one first, each with the models that no later had.

    Raises:
        ValueError: If there is none.
    """
    sittings: list[Measured] = []
    for line in lines:
        if isinstance(line, Facts):
            sittings.append(Measured(line, []))
        else:
            sittings[-1].lines.append(line)
    if not sittings:
        raise ValueError("no sitting is recorded")
    found: list[Measured] = []
    known: set[str] = set()
    for sitting in reversed(sittings):
        new = [line for line in sitting.lines if line.model not in known]
        if new:
            found.append(Measured(sitting.facts, new))
            known |= {line.model for line in new}
    return found
