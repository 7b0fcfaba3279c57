"""A load as a report: latency against the number of users, and second by second.

cli/load calls it, also for a load that was stopped.
"""

from collections.abc import Callable, Sequence

from headway.tools.load.load_table import load_columns, load_rows
from headway.tools.load.messages import Figures
from headway.tools.load.result import LoadResult, RungResult
from headway.tools.load.server_watch import ServerFigures
from headway.tools.report.document import Chart, Report, Section, Series, Table

__all__ = ["load_report"]

_USERS = "users"
_SECONDS = "seconds from the beginning"
_PERCENTILES: Sequence[tuple[str, Callable[[Figures], float | None]]] = (
    ("p50", lambda figures: figures.p50_ms),
    ("p90", lambda figures: figures.p90_ms),
    ("p99", lambda figures: figures.p99_ms),
    ("max", lambda figures: figures.max_ms),
)


def load_report(result: LoadResult, *, facts: Sequence[tuple[str, str]]) -> Report:
    """Return the report of a load.

    Args:
        result: What was measured.
        facts: Of the machine.
    """
    problems = []
    if not result.is_whole:
        problems.append("The load was stopped; this is what was measured until then.")
    if result.failures:
        problems.append(
            f"{result.failures:,} of {result.requests:,} requests failed: see below."
        )
    if any(rung.steady is None for rung in result.rungs):
        problems.append(
            "On some rungs not all users had come in time; their figures are of those "
            "who had."
        )
    return Report(
        title=f"Load of {result.url}",
        summary=_summary(result.rungs),
        facts=[("Server", result.url), ("Users", result.users_from), *facts],
        sections=[
            _by_users(result),
            _by_time(result),
            *([_errors(result)] if result.errors else []),
        ],
        problems=problems,
        data=result,
    )


def _summary(rungs: Sequence[RungResult]) -> str:
    last = rungs[-1]
    p99 = last.figures.p99_ms
    latency = "" if p99 is None else f", p99 {p99:g} ms"
    failures = sum(rung.whole.failures for rung in rungs)
    return (
        f"{last.users:,} users: {last.figures.rps:,.1f} requests/s{latency}; "
        f"{failures:,} failures on all rungs."
    )


def _by_users(result: LoadResult) -> Section:
    rungs = result.rungs
    users = [rung.users for rung in rungs]
    charts = [
        Chart(
            "Latency",
            _USERS,
            "ms",
            [
                Series(name, users, [figure(rung.figures) for rung in rungs])
                for name, figure in _PERCENTILES
            ],
            log_y=True,
        ),
        Chart(
            "Answers a second",
            _USERS,
            "RPS",
            [Series("RPS", users, [rung.figures.rps for rung in rungs])],
        ),
        Chart(
            "Failures",
            _USERS,
            "requests",
            [Series("failures", users, [rung.whole.failures for rung in rungs])],
        ),
    ]
    if any(rung.server is not None for rung in rungs):
        charts += [
            _server_by_users(
                rungs, "Batch size", "rows, mean", lambda found: found.mean_batch_rows
            ),
            _server_by_users(
                rungs,
                "Wait for a batch",
                "ms, mean",
                lambda found: found.queue_wait_ms,
            ),
        ]
    return Section(
        "By number of users",
        "Each rung once all of its users were there.",
        charts,
        [
            Table(
                "All rungs",
                load_columns(),
                load_rows(rungs),
                note="Failures are those of the whole rung. With *, not all users had "
                "come when it was over. Mean batch is the server's own figure of the "
                "same seconds, over all runners.",
            )
        ],
    )


def _server_by_users(
    rungs: Sequence[RungResult],
    title: str,
    label: str,
    figure: Callable[[ServerFigures], float | None],
) -> Chart:
    ys = [None if rung.server is None else figure(rung.server) for rung in rungs]
    return Chart(
        title, _USERS, label, [Series("server", [rung.users for rung in rungs], ys)]
    )


def _by_time(result: LoadResult) -> Section:
    seconds, server = result.seconds, result.server_seconds
    times = [second.at_s for second in seconds]
    server_times = [second.at_s for second in server]

    def of_users(name: str, figure: Callable[[Figures], float | None]) -> Series:
        return Series(name, times, [figure(second.figures) for second in seconds])

    def of_server(name: str, figure: Callable[[ServerFigures], float | None]) -> Series:
        return Series(name, server_times, [figure(second) for second in server])

    charts = [
        Chart(
            "Users",
            _SECONDS,
            "users",
            [Series("users", times, [s.users for s in seconds])],
        ),
        Chart(
            "Requests a second",
            _SECONDS,
            "RPS",
            [
                of_users("answered", lambda figures: figures.rps),
                of_users("failed", lambda figures: figures.failures / figures.seconds),
                *(
                    [of_server("counted by the server", lambda found: found.rps)]
                    if server
                    else []
                ),
            ],
        ),
        Chart(
            "Latency",
            _SECONDS,
            "ms",
            [of_users(name, figure) for name, figure in _PERCENTILES],
            log_y=True,
        ),
    ]
    if server:
        charts += [
            Chart(
                "Batch size",
                _SECONDS,
                "rows, mean",
                [of_server("server", lambda found: found.mean_batch_rows)],
            ),
            Chart(
                "In the server",
                _SECONDS,
                "count",
                [
                    of_server("requests in progress", lambda found: found.in_progress),
                    of_server("rows that wait", lambda found: found.queue_rows),
                    of_server("refused calls", lambda found: found.refused),
                ],
            ),
            Chart(
                "Replicas busy",
                _SECONDS,
                "share of the time",
                [of_server("server", lambda found: found.busy)],
            ),
        ]
    return Section(
        "Second by second",
        "As the users saw it, and as the server counted it in the same seconds."
        if server
        else "As the users saw it; the server has no metrics of Headway's.",
        charts,
    )


def _errors(result: LoadResult) -> Section:
    return Section(
        "What failed",
        tables=[
            Table("The most frequent", ["failure"], [[text] for text in result.errors])
        ],
    )
