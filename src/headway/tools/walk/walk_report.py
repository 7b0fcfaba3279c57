"""The results of a walk: the gain of each stage, as a text table and as a report.

cli/walk calls it, also for a walk that was stopped.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from headway.tools.report.document import Chart, Report, Section, Series, Table
from headway.tools.walk.stage import StageFigures, StepFigures

_MORE = 1.05
"""Smaller ratios are noise."""
_USERS = "users"


def gains(before: StageFigures, after: StageFigures) -> tuple[list[str], list[str]]:
    """Return what is better than before, and what is worse, as texts.

    The rate within the target is compared, and at the highest load step that both have,
    the users' RPS and p99.
    """
    better: list[str] = []
    worse: list[str] = []

    def compare(what: str, old: float, new: float, *, more_is_better: bool) -> None:
        text = f"{what} {old:,.0f} -> {new:,.0f}"
        if max(old, new) > _MORE * min(old, new):
            (better if (new > old) == more_is_better else worse).append(text)

    if before.limit_per_s is not None and after.limit_per_s is not None:
        compare(
            "requests/s within the target",
            before.limit_per_s,
            after.limit_per_s,
            more_is_better=True,
        )
    both = list(zip(before.steps, after.steps, strict=False))
    if both:
        old, new = both[-1]
        at = f"at {new.users:,} users"
        compare(f"RPS {at}", old.rps, new.rps, more_is_better=True)
        compare(f"p99 ms {at}", old.p99_ms, new.p99_ms, more_is_better=False)
    return better, worse


def stage_gains(stages: Sequence[StageFigures]) -> list[tuple[str, str]]:
    """Return the name of each stage except the first, and its gain."""
    found = []
    for before, after in pairwise([stage for stage in stages if not stage.problem]):
        better, worse = gains(before, after)
        gained = "; ".join(better) or f"no better than {before.name} on this machine"
        lost = f" (but {'; '.join(worse)})" if worse else ""
        found.append((after.name, gained + lost))
    return found + [(s.name, f"skipped: {s.problem}") for s in stages if s.problem]


def result_lines(stages: Sequence[StageFigures], p99_ms: float) -> list[str]:
    """Return the lines for the terminal: all figures, then the gain of each stage."""
    if not stages:
        return []
    gained = [f"{name}: {text}" for name, text in stage_gains(stages)]
    return ["", *walk_table(stages, p99_ms), "", *gained]


def walk_table(stages: Sequence[StageFigures], p99_ms: float) -> list[str]:
    """Return all figures as lines of text, one for each stage."""
    rows = table_cells(stages, p99_ms)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table_cells(stages: Sequence[StageFigures], p99_ms: float) -> list[list[str]]:
    """Return all figures as table cells: the header, then a row for each stage."""
    users = [step.users for step in max((s.steps for s in stages), key=len)]
    heads = ["stage", f"/s in {p99_ms:g} ms"]
    for number in users:
        heads += [f"RPS@{number}", f"p99@{number}"]
    heads += ["failures", "/livez p99"]
    return [heads, *(_row(stage, len(users)) for stage in stages)]


def _row(stage: StageFigures, steps: int) -> list[str]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:,.0f}"

    table_cells = [stage.name, shown(stage.limit_per_s)]
    for step in stage.steps:
        table_cells += [shown(step.rps), shown(step.p99_ms)]
    table_cells += ["-", "-"] * (steps - len(stage.steps))
    failures = sum(step.failures for step in stage.steps)
    return [*table_cells, str(failures), shown(stage.livez_p99_ms)]


def walk_report(
    service: str,
    stages: Sequence[StageFigures],
    *,
    p99_ms: float,
    facts: Sequence[tuple[str, str]],
    is_stopped: bool,
) -> Report:
    """Return the report of a walk.

    Args:
        service: `module:svc`.
        stages: Figures of the stages, in order.
        p99_ms: The latency target.
        facts: Name and value of each fact about the machine.
        is_stopped: Whether the user stopped it.
    """
    problems = [f"{s.name} was skipped: {s.problem}" for s in stages if s.problem]
    if is_stopped:
        problems.append(
            "The walk was stopped; the report shows what was measured until then."
        )
    return Report(
        title=f"Walk of {service}",
        summary=_summary(stages, p99_ms),
        facts=[
            ("Service", service),
            ("Target", f"99% of requests within {p99_ms:g} ms"),
            *facts,
        ],
        sections=[_stages(stages, p99_ms), _users(stages)] if stages else [],
        problems=problems,
        data={"service": service, "p99_ms": p99_ms, "stages": stages},
    )


def _summary(stages: Sequence[StageFigures], p99_ms: float) -> str:
    rates = [(s.limit_per_s, s.name) for s in stages if s.limit_per_s is not None]
    if not rates:
        return "No stage was measured to its end."
    (first, name), (most, best) = rates[0], max(rates)
    text = f"{name} keeps {p99_ms:g} ms at {first:,.0f} requests/s"
    if best == name:
        return f"{text}, and no later stage at more."
    return f"{text}, {best} at {most:,.0f}."


def _stages(stages: Sequence[StageFigures], p99_ms: float) -> Section:
    names = [stage.name for stage in stages]
    heads, *rows = table_cells(stages, p99_ms)
    gained = dict(stage_gains(stages))
    return Section(
        "The stages",
        "The same service under the same load. Open-loop requests are sent at a fixed "
        "rate. Users wait for their answers, and so send less to a slow server.",
        charts=[
            Chart(
                f"Highest rate within {p99_ms:g} ms",
                "stage",
                "requests/s",
                [Series("rate", names, [stage.limit_per_s for stage in stages])],
                kind="bar",
            ),
            Chart(
                "p99 of /livez at the highest load",
                "stage",
                "ms",
                [Series("p99", names, [stage.livez_p99_ms for stage in stages])],
                kind="bar",
                log_y=True,
                note="A server that computes in its event loop cannot answer /livez "
                "meanwhile.",
            ),
        ],
        tables=[
            Table(
                "Gain of each stage",
                ["stage", "how it is served", "gain over the stage before"],
                [[s.name, s.what, gained.get(s.name, "")] for s in stages],
            ),
            Table(
                "All stages",
                heads,
                rows,
                note=f"Requests/s within {p99_ms:g} ms; then RPS and p99 in ms at each "
                "number of users, their failures, and the p99 of /livez in ms.",
            ),
        ],
    )


def _users(stages: Sequence[StageFigures]) -> Section:
    def chart(
        title: str, label: str, figure: Callable[[StepFigures], float], *, log_y: bool
    ) -> Chart:
        series = [
            Series(
                stage.name,
                [step.users for step in stage.steps],
                [figure(step) for step in stage.steps],
            )
            for stage in stages
        ]
        return Chart(title, _USERS, label, series, log_x=True, log_y=log_y)

    charts = [
        chart("Answers per second", "RPS", lambda step: step.rps, log_y=True),
        chart("Median latency", "p50 in ms", lambda step: step.p50_ms, log_y=True),
        chart("Latency", "p99 in ms", lambda step: step.p99_ms, log_y=True),
    ]
    if any(step.failures for stage in stages for step in stage.steps):
        charts.append(
            chart("Failures", "failures", lambda step: step.failures, log_y=False)
        )
    return Section(
        "By number of users",
        "Each user sends a request, waits for the answer, and sends the next one 0.01 "
        "to 2 s later.",
        charts,
    )
