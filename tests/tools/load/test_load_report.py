"""The report and the table of a load test, complete or stopped."""

import msgspec

from headway.tools.load.load import LoadResult, LoadSecond, StepResult
from headway.tools.load.load_report import load_report
from headway.tools.load.messages import Figures
from headway.tools.load.server_watch import ServerFigures
from headway.tools.load.terminal import load_table
from headway.tools.options import LoadStep

FIGURES = Figures(
    seconds=2,
    requests=20,
    failures=0,
    rps=10.0,
    p50_ms=1.5,
    p90_ms=2,
    p99_ms=30.4,
    max_ms=41,
    load_cores=0.5,
)
FAILED = msgspec.structs.replace(FIGURES, failures=3, p50_ms=None, p99_ms=None)
SERVER = ServerFigures(
    at_s=1.0,
    rps=11.0,
    mean_batch_rows=7.25,
    queue_wait_ms=0.5,
    queue_rows=2,
    in_progress=3,
    refused=1,
    busy=0.5,
)
WHOLE = StepResult(
    step=LoadStep(50, 10),
    users=50,
    whole=FIGURES,
    steady=FIGURES,
    server=SERVER,
    server_whole=SERVER,
)
CUT = StepResult(
    step=LoadStep(1000, 0.5),
    users=1000,
    whole=FAILED,
    steady=None,
    server=None,
    server_whole=None,
)


def result(*steps: StepResult, server: list[ServerFigures]) -> LoadResult:
    return LoadResult(
        url="http://h:1",
        users_from="users.py",
        steps=list(steps),
        seconds=[LoadSecond(at_s=1.0, step=0, users=50, figures=FIGURES)],
        server_seconds=server,
        errors=["3 x POST /ask: 503"] if len(steps) > 1 else [],
        is_whole=len(steps) == 1,
    )


def test_report_joins_users_and_server() -> None:
    report = load_report(result(WHOLE, server=[SERVER]), facts=[("Cores", "2")])
    assert report.problems == []
    assert report.summary == (
        "50 users: 10.0 requests/s, p99 30.4 ms; 0 failures in all steps."
    )
    by_users, by_time = report.sections
    drawn = {
        (chart.title, series.name): list(series.ys)
        for chart in by_users.charts
        for series in chart.series
    }
    assert drawn["Latency", "p99"] == [30.4]
    assert drawn["Answers per second", "RPS"] == [10.0]
    assert drawn["Failures", "failures"] == [0]
    assert drawn["Batch size", "server"] == [7.25]
    seconds = {
        (chart.title, series.name): list(zip(series.xs, series.ys, strict=True))
        for chart in by_time.charts
        for series in chart.series
    }
    assert seconds["Requests per second", "answered"] == [(1.0, 10.0)]
    assert seconds["Requests per second", "counted by the server"] == [(1.0, 11.0)]
    assert seconds["Batch size", "server"] == [(1.0, 7.25)]


def test_report_of_a_stopped_load_without_server_figures() -> None:
    report = load_report(result(WHOLE, CUT, server=[]), facts=[])
    assert len(report.problems) == 3
    assert "was stopped" in report.problems[0]
    assert report.problems[1].startswith("3 of 40 requests failed")
    by_users, by_time, errors = report.sections
    assert list(by_users.charts[3].series[0].ys) == [7.25, None]
    assert len(by_time.charts) == 3
    assert errors.tables[0].rows == [["3 x POST /ask: 503"]]
    [table] = by_users.tables
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_table_marks_incomplete_steps() -> None:
    lines = load_table(result(WHOLE, CUT, server=[]))
    assert lines[0].split("  ")[0] == "users"
    assert lines[1].split() == [
        *("50", "10", "10.0", "1.5", "2", "30.4", "41", "0", "7.25")
    ]
    assert lines[2].split() == [
        *("1000*", "0.5", "10.0", "-", "2", "-", "41", "3", "-")
    ]
    assert "* the step ended before all of its users were spawned" in lines
