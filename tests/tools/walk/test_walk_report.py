"""A walk's report shows the stages side by side, as far as they were measured."""

from headway.tools.report.document import Report
from headway.tools.walk.stage import StageFigures, StepFigures
from headway.tools.walk.walk_report import walk_report


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


def test_stages_stand_side_by_side() -> None:
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


def test_a_walk_that_was_stopped() -> None:
    report = made([BATCHING], is_stopped=True)
    assert report.summary == "No stage was measured to its end."
    assert "was stopped" in report.problems[-1]
    assert made([], is_stopped=True).sections == []
    assert made([SYNC]).summary.endswith("100 requests/s, and no later stage at more.")
