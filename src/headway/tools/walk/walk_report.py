"""A walk as a report: the stages side by side, and what each brings.

cli/walk calls it, also for a walk that was stopped.
"""

from collections.abc import Callable, Sequence

from headway.tools.report.document import Chart, Report, Section, Series, Table
from headway.tools.walk.comparison import StageFigures, brought, cells
from headway.tools.walk.load_step import RungFigures

__all__ = ["walk_report"]

_USERS = "users"


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
        stages: What was measured of each, in their order.
        p99_ms: The latency that was to be kept.
        facts: Of the machine.
        is_stopped: Whether the user ended it.
    """
    problems = [f"{s.name} was skipped: {s.problem}" for s in stages if s.problem]
    if is_stopped:
        problems.append(
            "The walk was stopped; this is what it had measured until then."
        )
    return Report(
        title=f"Walk of {service}",
        summary=_summary(stages, p99_ms),
        facts=[
            ("Service", service),
            ("Target", f"99 in 100 requests within {p99_ms:g} ms"),
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
    heads, *rows = cells(stages, p99_ms)
    gained = dict(brought(stages))
    return Section(
        "The stages",
        "The same service under the same load. A rate is sent whatever the server "
        "does; users wait for their answers, and so spare a slow one.",
        charts=[
            Chart(
                f"Highest rate within {p99_ms:g} ms",
                "stage",
                "requests/s",
                [Series("rate", names, [stage.limit_per_s for stage in stages])],
                kind="bar",
            ),
            Chart(
                "Sign of life under most users",
                "stage",
                "p99 of /livez in ms",
                [Series("p99", names, [stage.livez_p99_ms for stage in stages])],
                kind="bar",
                log_y=True,
                note="A server that computes where it answers cannot tell that it is "
                "alive.",
            ),
        ],
        tables=[
            Table(
                "What each brings",
                ["stage", "what serves", "over the stage before"],
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
        title: str, label: str, figure: Callable[[RungFigures], float], *, log_y: bool
    ) -> Chart:
        series = [
            Series(
                stage.name,
                [rung.users for rung in stage.rungs],
                [figure(rung) for rung in stage.rungs],
            )
            for stage in stages
        ]
        return Chart(title, _USERS, label, series, log_x=True, log_y=log_y)

    charts = [
        chart("Answers a second", "RPS", lambda rung: rung.rps, log_y=True),
        chart("Median latency", "p50 in ms", lambda rung: rung.p50_ms, log_y=True),
        chart("Latency", "p99 in ms", lambda rung: rung.p99_ms, log_y=True),
    ]
    if any(rung.failures for stage in stages for rung in stage.rungs):
        charts.append(
            chart("Failures", "failures", lambda rung: rung.failures, log_y=False)
        )
    return Section(
        "By number of users",
        "Each user asks, waits for the answer, and asks again 0.01 to 2 s later.",
        charts,
    )
