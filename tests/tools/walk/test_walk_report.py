"""The results of a walk, complete or stopped: text table and report."""

from headway.tools.report.document import Report
from headway.tools.walk.stage import StageFigures, StepFigures
from headway.tools.walk.walk_report import result_lines, walk_report, walk_table


def step(users: int, rps: float) -> StepFigures:
    return StepFigures(users=users, rps=rps, p50_ms=1.0, p99_ms=9.0, failures=2)


SYNC = StageFigures(
    name="sync",
    what="alone",
    steps=[step(50, 40), step(200, 90)],
    limit_per_s=100.0,
    livez_p99_ms=900.0,
)
BROKEN = StageFigures(name="workers", what="copies", problem="no memory")
BATCHING = StageFigures(name="batching", what="shared", steps=[step(50, 50)])
TUNED = StageFigures(name="tuned", what="best", limit_per_s=9000.0)


def made(stages: list[StageFigures], *, is_stopped: bool = False) -> Report:
    return walk_report(
        "a:b", stages, p99_ms=50, facts=[("Cores", "2")], is_stopped=is_stopped
    )


def test_report_compares_the_stages() -> None:
    report = made([SYNC, BROKEN, BATCHING, TUNED])
    assert report.summary == ("sync keeps 50 ms at 100 requests/s, tuned at 9,000.")
    assert report.problems == ["workers was skipped: no memory"]
    stages, users = report.sections
    [rate] = stages.charts[0].series
    assert rate.xs == ["sync", "workers", "batching", "tuned"]
    assert rate.ys == [100.0, None, None, 9000.0]
    [livez] = stages.charts[1].series
    assert livez.ys == [900.0, None, None, None]
    brings, figures = stages.tables
    assert brings.rows == [
        ["sync", "alone", ""],
        ["workers", "copies", "skipped: no memory"],
        ["batching", "shared", "RPS at 50 users 40 -> 50"],
        ["tuned", "best", "no better than batching on this machine"],
    ]
    assert figures.rows[0] == ["sync", "100", "40", "9", "90", "9", "4", "900"]
    assert all(len(row) == len(figures.columns) for row in figures.rows)
    rps = {
        series.name: list(zip(series.xs, series.ys, strict=True))
        for series in users.charts[0].series
    }
    assert rps["sync"] == [(50, 40), (200, 90)]
    assert rps["batching"] == [(50, 50)]
    assert [chart.series[0].ys for chart in users.charts[1:]] == [
        [1.0, 1.0],
        [9.0, 9.0],
        [2, 2],
    ]


def test_report_of_a_stopped_walk() -> None:
    report = made([BATCHING], is_stopped=True)
    assert report.summary == "No stage was measured to its end."
    assert "was stopped" in report.problems[-1]
    assert made([], is_stopped=True).sections == []
    assert made([SYNC]).summary.endswith("100 requests/s, and no later stage at more.")


def figures(rps: float, p99_ms: float) -> StepFigures:
    return StepFigures(users=50, rps=rps, p50_ms=1.0, p99_ms=p99_ms, failures=1)


STAGES = [
    StageFigures(name="sync", what="", steps=[figures(100, 900)], limit_per_s=200.0),
    StageFigures(
        name="async",
        what="",
        steps=[figures(101, 890)],
        limit_per_s=205.0,
        livez_p99_ms=2.0,
    ),
    StageFigures(name="workers", what="", problem="no memory"),
    StageFigures(
        name="batching", what="", steps=[figures(150, 1900)], limit_per_s=9000.0
    ),
    StageFigures(name="tuned", what="", steps=[]),
]


def test_lines_name_gains_and_losses() -> None:
    assert result_lines(STAGES, 50)[-4:] == [
        "async: no better than sync on this machine",
        "batching: requests/s within the target 205 -> 9,000; RPS at 50 users "
        "101 -> 150 (but p99 ms at 50 users 890 -> 1,900)",
        "tuned: no better than batching on this machine",
        "workers: skipped: no memory",
    ]


def test_table_has_dashes_for_missing_figures() -> None:
    assert walk_table(STAGES, 50) == [
        "stage     /s in 50 ms  RPS@50  p99@50  failures  /livez p99",
        "sync              200     100     900         1           -",
        "async             205     101     890         1           2",
        "workers             -       -       -         0           -",
        "batching        9,000     150   1,900         1           -",
        "tuned               -       -       -         0           -",
    ]
