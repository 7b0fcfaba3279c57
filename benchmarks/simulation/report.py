"""Writes what the recorded outcomes show: a part of a page of docs/, a page, pictures.

The text is pure: outcomes in, Markdown out. plots.py draws, and needs matplotlib.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.simulation.case import Case
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CONTENDERS, HEADWAY, OPTIMUM
from benchmarks.simulation.models import MODELS
from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.record import Outcomes
from benchmarks.simulation.verdict import CLAIMS, Verdict, compare, judge

__all__ = ["cases_page", "replace_part", "summary", "write_text"]

_FAMILIES: Final = {
    "poisson": "Poisson arrivals, no deadline",
    "closed": "clients that send again at once",
    "thinking": "clients that pause between requests",
    "bursty": "a Poisson process that changes its rate at random (MMPP)",
    "onoff": "periods with and without arrivals",
    "diurnal": "daily cycles, each replayed in half a minute",
    "mixed": "several kinds of traffic at once, or requests of several rows",
    "changing": "traffic that changes after a third of the time, and back after two",
    "drifting": "a model that becomes four times slower, for a third of the time",
    "replicas": "4 or 64 replicas, with a load or a number of clients for each",
    "overload": "1.2 to 10 times the capacity, with deadlines",
    "tight": "deadlines that a full batch can hardly keep, or cannot",
    "priority": "three priority classes, at 5, 5 and 0.2 times the capacity",
}
_BEGIN: Final = "<!-- simulation: written by `scripts/bench simulation report` -->\n"
_END: Final = "<!-- simulation: end -->\n"


def replace_part(page: str, part: str) -> str:
    """Return a page with the text between its markers replaced.

    Raises:
        ValueError: If the page has no markers.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the page lacks {_BEGIN.strip()} and {_END.strip()}")
    return f"{before}{_BEGIN}\n{part}\n{_END}{after}"


def summary(outcomes: Outcomes) -> str:
    """Return the part of docs/design/scheduling.md."""
    verdicts = list(judge(CASES.values(), outcomes))
    names = {name for name, _ in outcomes}
    requests = sum(outcome.offered for outcome in outcomes.values())
    return "\n".join(
        [
            f"{len(names)} cases, {requests / 1e6:.0f} million requests in all.",
            "",
            *_claims_table(verdicts),
            "",
            *_standings_table(outcomes),
            "",
            "![Mean latency over load](../simulation/latency.svg)",
            "",
            "![Throughput of closed loops](../simulation/closed.svg)",
            "",
            "![Goodput at twice the capacity](../simulation/overload.svg)",
        ]
    )


def _claims_table(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "| ratio or share | bound | kept | worst | where |"
    yield "| --- | --- | --- | --- | --- |"
    for claim, meaning in CLAIMS.items():
        mine = [verdict for verdict in verdicts if verdict.claim == claim]
        if not mine:
            continue
        kept = sum(verdict.holds for verdict in mine)
        key = min if mine[0].is_floor else max
        worst = key(mine, key=lambda verdict: verdict.value)
        sign = "at least" if worst.is_floor else "at most"
        yield (
            f"| {meaning} | {sign} {worst.bound:g} | {kept} of {len(mine)} "
            f"| {worst.value:.3f} | {worst.case}, {worst.rival} |"
        )


def _standings_table(outcomes: Outcomes) -> Iterator[str]:
    """Yield how often Headway is better, the same or worse than each rival."""
    yield "| Headway is | better | the same within 1% | worse |"
    yield "| --- | --- | --- | --- |"
    for rival in CONTENDERS:
        if rival == HEADWAY:
            continue
        words = Counter(
            compare(outcomes[name, HEADWAY], outcomes[name, rival]).word
            for name in CASES
            if (name, HEADWAY) in outcomes and (name, rival) in outcomes
        )
        yield (
            f"| than {rival} | {words['better']} | {words['same']} | {words['worse']} |"
        )


def cases_page(outcomes: Outcomes) -> str:
    """Return the page that has every case."""
    lines = [
        "# Simulation cases",
        "",
        "Written by `scripts/bench simulation report` from "
        "[outcomes.jsonl](outcomes.jsonl); "
        "[Scheduling](../design/scheduling.md#how-good-it-is) defines the terms. A "
        "cell is the mean latency in ms. With deadlines or closed loops, the goodput "
        "in rows per second stands before it. The share of refused requests is in "
        "brackets. The models:",
        "",
        *(f"- **{name}**: {model.about}." for name, model in MODELS.items()),
    ]
    for family, about in _FAMILIES.items():
        cases = [case for case in CASES.values() if case.family == family]
        run = [case for case in cases if (case.name, HEADWAY) in outcomes]
        if run:
            lines += ["", f"## {family}: {about}", "", *_cases_table(run, outcomes)]
    return "\n".join(lines) + "\n"


def _cases_table(cases: Iterable[Case], outcomes: Outcomes) -> Iterator[str]:
    cases = list(cases)
    policies = [
        policy
        for policy in (*CONTENDERS, OPTIMUM)
        if any((case.name, policy) in outcomes for case in cases)
    ]
    yield "| | " + " | ".join(policies) + " |"
    yield "| --- |" + " --- |" * len(policies)
    for case in cases:
        cells = [_cell(outcomes.get((case.name, policy))) for policy in policies]
        yield f"| {case.name.partition('/')[2]} | " + " | ".join(cells) + " |"


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    mean = "-" if outcome.mean_ms is None else f"{outcome.mean_ms:.4g}"
    if not outcome.case.startswith("poisson/"):
        mean = f"{outcome.goodput:,.0f}; {mean}"
    if outcome.turned_away > 0.005:
        mean += f" (-{outcome.turned_away:.0%})"
    shares = ", ".join(f"{share:.0%}" for share in outcome.served_shares.values())
    return f"{mean}; served {shares}" if shares else mean


def write_text(outcomes: Outcomes, docs: Path) -> None:
    """Write the page and the part of a page.

    Raises:
        ValueError: If docs/design/scheduling.md has no place for it.
    """
    page = docs / "design" / "scheduling.md"
    page.write_text(replace_part(page.read_text(), summary(outcomes)))
    (docs / "simulation/cases.md").write_text(cases_page(outcomes))
