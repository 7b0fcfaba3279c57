"""What a stage brings is said plainly, and so is it when it brings nothing."""

from headway.tools.walk.stage import StageFigures, StepFigures
from headway.tools.walk.walk_report import result_lines, walk_table


def step(rps: float, p99_ms: float, users: int = 50) -> StepFigures:
    return StepFigures(users=users, rps=rps, p50_ms=1.0, p99_ms=p99_ms, failures=1)


STAGES = [
    StageFigures(name="sync", what="", steps=[step(100, 900)], limit_per_s=200.0),
    StageFigures(
        name="async",
        what="",
        steps=[step(101, 890)],
        limit_per_s=205.0,
        livez_p99_ms=2.0,
    ),
    StageFigures(name="workers", what="", problem="no memory"),
    StageFigures(name="batching", what="", steps=[step(150, 1900)], limit_per_s=9000.0),
    StageFigures(name="tuned", what="", steps=[]),
]


def test_gains_and_losses() -> None:
    assert result_lines(STAGES, 50)[-4:] == [
        "async: no better than sync on this machine",
        "batching: requests/s within the target 205 -> 9,000; RPS at 50 users "
        "101 -> 150 (but p99 ms at 50 users 890 -> 1,900)",
        "tuned: no better than batching on this machine",
        "workers: skipped: no memory",
    ]


def test_table_shows_what_there_is() -> None:
    assert walk_table(STAGES, 50) == [
        "stage     /s in 50 ms  RPS@50  p99@50  failures  /livez p99",
        "sync              200     100     900         1           -",
        "async             205     101     890         1           2",
        "workers             -       -       -         0           -",
        "batching        9,000     150   1,900         1           -",
        "tuned               -       -       -         0           -",
    ]
