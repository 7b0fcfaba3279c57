"""The report of a load test: by number of users, and second by second.

cli/load calls it, also for a load test that was stopped.
"""

from collections.abc import Callable, Sequence

from headway.tools.load.load import LoadResult, StepResult
from headway.tools.load.messages import Figures
from headway.tools.load.server_watch import ServerFigures
from headway.tools.load.terminal import load_columns, load_rows
from headway.tools.report.document import Chart, Report, Section, Series, Table

_USERS = "users"
_SECONDS = "seconds since the start"
_PERCENTILES: Sequence[tuple[str, Callable[[Figures], float | None]]] = (
    ("p50", lambda figures: figures.p50_ms),
    ("p90", lambda figures: figures.p90_ms),
    ("p99", lambda figures: figures.p99_ms),
    ("max", lambda figures: figures.max_ms),
)


def load_report(result: LoadResult, *, facts: Sequence[tuple[str, str]]) -> Report:
    """Return the report of a load test.

    Args:
        result: The measurements.
        facts: Name and value of each fact about the machine.
    """
    problems = []
    if not result.is_whole:
        problems.append(
            "The load was stopped; the report shows what was measured until then."
        )
    if result.failures:
        problems.append(
            f"{result.failures:,} of {result.requests:,} requests failed: see below."
        )
    if any(step.steady is None for step in result.steps):
        problems.append(
            "Some steps ended before all of their users were spawned; their figures "
            "are those of the whole step."
        )
    return Report(
        title=f"Load of {result.url}",
        summary=_summary(result.steps),
        facts=[("Server", result.url), ("Users", result.users_from), *facts],
        sections=[
            _by_users(result),
            _by_time(result),
            *([_errors(result)] if result.errors else []),
        ],
        problems=problems,
        data=result,
    )


def _summary(steps: Sequence[StepResult]) -> str:
    last = steps[-1]
    p99 = last.figures.p99_ms
    latency = "" if p99 is None else f", p99 {p99:g} ms"
    failures = sum(step.whole.failures for step in steps)
    return (
        f"{last.users:,} users: {last.figures.rps:,.1f} requests/s{latency}; "
        f"{failures:,} failures in all steps."
    )


def _by_users(result: LoadResult) -> Section:
    steps = result.steps
    users = [step.users for step in steps]
    charts = [
        Chart(
            "Latency",
            _USERS,
            "ms",
            [
                Series(name, users, [figure(step.figures) for step in steps])
                for name, figure in _PERCENTILES
            ],
            log_y=True,
        ),
        Chart(
            "Answers per second",
            _USERS,
            "RPS",
            [Series("RPS", users, [step.figures.rps for step in steps])],
        ),
        Chart(
            "Failures",
            _USERS,
            "requests",
            [Series("failures", users, [step.whole.failures for step in steps])],
        ),
    ]
    if any(step.server is not None for step in steps):
        charts += [
            _server_by_users(
                steps, "Batch size", "rows, mean", lambda found: found.mean_batch_rows
            ),
            _server_by_users(
                steps,
                "Queue wait",
                "ms, mean",
                lambda found: found.queue_wait_ms,
            ),
        ]
    return Section(
        "By number of users",
        "Each step since all of its users were spawned.",
        charts,
        [
            Table(
                "All load steps",
                load_columns(),
                load_rows(steps),
                note="Failures are those of the whole step. *: the step ended before "
                "all of its users were spawned. Mean batch is the server's own figure "
                "of the same seconds, over all runners.",
            )
        ],
    )


def _server_by_users(
    steps: Sequence[StepResult],
    title: str,
    label: str,
    figure: Callable[[ServerFigures], float | None],
) -> Chart:
    ys = [None if step.server is None else figure(step.server) for step in steps]
    return Chart(
        title, _USERS, label, [Series("server", [step.users for step in steps], ys)]
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
            "Requests per second",
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
                    of_server("queued rows", lambda found: found.queue_rows),
                    of_server("calls refused", lambda found: found.refused),
                ],
            ),
            Chart(
                "Replicas busy",
                _SECONDS,
                "share of time",
                [of_server("server", lambda found: found.busy)],
            ),
        ]
    return Section(
        "LoadSecond by second",
        "What the users saw, and what the server counted in the same seconds."
        if server
        else "What the users saw; the server has no Headway metrics.",
        charts,
    )


def _errors(result: LoadResult) -> Section:
    return Section(
        "Failures",
        tables=[
            Table("The most frequent", ["failure"], [[text] for text in result.errors])
        ],
    )
