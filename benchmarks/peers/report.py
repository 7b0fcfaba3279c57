"""Writes benchmarks/README.md from the last session of each model in the record.

`page` is a pure function of the lines of the record. plots draws, with matplotlib.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from benchmarks.peers.catalogue import CEILINGS, HEADWAY, MODELS, SERVERS
from benchmarks.peers.record import (
    Closed,
    Line,
    Measured,
    Open,
    Skipped,
    Started,
    latest,
)

__all__ = ["Closure", "closures", "page"]

_INTRODUCTION: Final = """# Headway and its peers

Each server serves the same models in the settings that its documentation recommends for
production, alone on the machine, with batches of up to 2,048 rows and one thread for
the model. The load generator shares the cores with it. Closed loop: `wrk -t1`, the
median of the runs. Open loop: Poisson traffic with a deadline of 1 s, at a multiple of
what the server itself reached in the closed loop, latencies from the scheduled time.

Written by `scripts/bench peers report` from `benchmarks/results/peers.jsonl`, which has
every run. `scripts/bench peers install` makes the peers' environments.
"""


class Closure(msgspec.Struct, frozen=True):
    """The median closed-loop result of a server at one number of connections."""

    rps: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failures: int


def closures(lines: Sequence[Line]) -> dict[tuple[str, str, int], Closure]:
    """Return the closed-loop results by model, server and connections."""
    found: dict[tuple[str, str, int], list[Closed]] = {}
    for line in lines:
        if isinstance(line, Closed):
            place = line.model, line.server, line.load.connections
            found.setdefault(place, []).append(line)
    return {place: _median(runs) for place, runs in found.items()}


def _median(runs: Sequence[Closed]) -> Closure:
    loads = [run.load for run in runs]
    return Closure(
        rps=statistics.median(load.rps for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        max_ms=statistics.median(load.max_ms for load in loads),
        failures=sum(load.failures for load in loads),
    )


def page(lines: list[Line]) -> str:
    """Return the page.

    Raises:
        ValueError: If no session is recorded.
    """
    sessions = latest(lines)
    measured = [line for session in sessions for line in session.lines]
    parts = [_INTRODUCTION, *map(_facts, sessions), _servers(sessions)]
    for model, about in MODELS.items():
        part = _model(model, measured)
        if part:
            parts.append(f"## {model.capitalize()}: {about}\n\n{part}")
    skipped = [
        f"- {line.server}, {line.model}: {_first_line(line.why)}"
        for line in measured
        if isinstance(line, Skipped)
    ]
    if skipped:
        parts.append("## Not measured\n\n" + "\n".join(skipped) + "\n")
    return "\n".join(parts)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(":")


def _facts(session: Measured) -> str:
    facts = session.facts
    models = " and ".join(dict.fromkeys(line.model for line in session.lines))
    return (
        f"{models.capitalize()}: {facts.at}, commit {facts.commit}: {facts.cores} "
        f"cores ({facts.cpu}), {facts.memory_gib:g} GiB, Linux {facts.kernel}, Python "
        f"{facts.python}, {facts.wrk}.\n\n```\n{facts.command}\n```\n"
    )


def _servers(sessions: Sequence[Measured]) -> str:
    about = {**SERVERS, **CEILINGS}
    versions = {
        server: version
        for session in reversed(sessions)
        for server, version in session.facts.versions.items()
    }
    rows = [
        f"| {server} | {version} | {about[server]} |"
        for server, version in versions.items()
    ]
    heads = ["| server | version | settings |", "| --- | --- | --- |"]
    return "\n".join([*heads, *rows, ""])


def _model(model: str, lines: Sequence[Line]) -> str:
    found = {
        (server, connections): closure
        for (of, server, connections), closure in closures(lines).items()
        if of == model
    }
    servers = list(dict.fromkeys(server for server, _ in found))
    counts = sorted({connections for _, connections in found})
    if not servers:
        return ""
    tables = [
        _closed_table(
            "Requests per second", lambda one: f"{one.rps:,.0f}", servers, counts, found
        ),
        _ratios(servers, counts, found),
        _closed_table(
            "p50 / p99 / max, ms",
            lambda one: f"{one.p50_ms:.2f} / {one.p99_ms:.1f} / {one.max_ms:.0f}",
            servers,
            counts,
            found,
        ),
        _open_table(model, lines),
        _starts(model, lines),
        f"![Requests per second](results/{model}.svg)\n",
    ]
    return "\n".join(table for table in tables if table)


def _closed_table(
    title: str,
    show: Callable[[Closure], str],
    servers: Sequence[str],
    counts: Sequence[int],
    found: dict[tuple[str, int], Closure],
) -> str:
    return _table(
        title,
        [f"{count} connections" for count in counts],
        {
            server: [
                show(found[server, count]) if (server, count) in found else "-"
                for count in counts
            ]
            for server in servers
        },
    )


def _ratios(
    servers: Sequence[str],
    counts: Sequence[int],
    found: dict[tuple[str, int], Closure],
) -> str:
    if HEADWAY not in servers or len(servers) == 1:
        return ""
    rows = {
        server: [
            f"{found[HEADWAY, count].rps / found[server, count].rps:.2f}"
            if (server, count) in found and (HEADWAY, count) in found
            else "-"
            for count in counts
        ]
        for server in servers
        if server != HEADWAY
    }
    heads = [f"{count} connections" for count in counts]
    return _table("Headway's requests per second over those of", heads, rows)


def _open_table(model: str, lines: Sequence[Line]) -> str:
    found = {
        (line.server, line.factor): line
        for line in lines
        if isinstance(line, Open) and line.model == model
    }
    if not found:
        return ""
    factors = sorted({factor for _, factor in found})
    rows = {
        server: [
            _open(found[server, factor]) if (server, factor) in found else "-"
            for factor in factors
        ]
        for server in dict.fromkeys(server for server, _ in found)
    }
    heads = [f"at {factor:g} x its best" for factor in factors]
    return _table("Open loop: share of the offered in time", heads, rows)


def _open(line: Open) -> str:
    share = f"{line.in_time / max(line.offered, 1):.0%} of {line.per_s:,.0f}/s"
    return f"{share}, {line.not_sent:,} not sent" if line.not_sent else share


def _starts(model: str, lines: Sequence[Line]) -> str:
    found = [
        line for line in lines if isinstance(line, Started) and line.model == model
    ]
    has_images = any(line.image_start_ms is not None for line in found)
    heads = ["start to first answer, s", "memory (PSS), MiB"]
    if has_images:
        heads.append("last byte of a request to the start of its model, ms")
    rows = {
        line.server: [f"{line.start_s:.1f}", f"{line.pss_mib:.0f}"]
        + ([f"{line.image_start_ms:.2f}"] if line.image_start_ms is not None else [])
        for line in found
    }
    return _table("Start", heads, rows)


def _table(title: str, heads: Sequence[str], rows: dict[str, list[str]]) -> str:
    return "\n".join(
        [
            f"| {title} | {' | '.join(heads)} |",
            f"| --- {'| ---: ' * len(heads)}|",
            *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()),
            "",
        ]
    )
