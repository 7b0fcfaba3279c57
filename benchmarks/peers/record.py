"""The file of raw results, with a line for each measurement.

session appends to it; report reads it.
"""

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.wrk import Load

__all__ = ["RECORD", "Closed", "Facts", "Line", "Open", "Skipped", "Started", "append"]
__all__ += ["Measured", "latest", "read"]

RECORD: Final = Path(__file__).parents[1] / "results/peers.jsonl"


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """The first line of a session."""

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
    """A server after its start and one second of load."""

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
    """Multiple of the server's own best closed-loop rate."""
    per_s: float
    seconds: int
    offered: int
    in_time: int
    statuses: str
    not_sent: int
    lag_p99_ms: float
    """Delay of the generator itself."""


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """What was not measured, and why."""

    server: str
    model: str
    why: str


Line = Facts | Started | Closed | Open | Skipped


def append(path: Path, line: Line) -> None:
    """Append a line."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    """Return all lines.

    Raises:
        msgspec.ValidationError: If a line is malformed.
    """
    return msgspec.json.Decoder(Line).decode_lines(path.read_bytes())


class Measured(msgspec.Struct, frozen=True):
    """One session."""

    facts: Facts
    lines: list[Started | Closed | Open | Skipped]


def latest(lines: list[Line]) -> list[Measured]:
    """Return the sessions, newest first, each with the models not measured later.

    Raises:
        ValueError: If there is none.
    """
    sessions: list[Measured] = []
    for line in lines:
        if isinstance(line, Facts):
            sessions.append(Measured(line, []))
        else:
            sessions[-1].lines.append(line)
    if not sessions:
        raise ValueError("no session is recorded")
    found: list[Measured] = []
    known: set[str] = set()
    for session in reversed(sessions):
        new = [line for line in session.lines if line.model not in known]
        if new:
            found.append(Measured(session.facts, new))
            known |= {line.model for line in new}
    return found
