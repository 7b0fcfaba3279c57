"""The report of a tuner run shows the result and every trial."""

from pathlib import Path

import pytest

from headway.tools.report.document import Chart, Report
from headway.tools.sample_request import SampleRequest
from headway.tools.tune.grid import Choice, Grid
from headway.tools.tune.job import TuneJob
from headway.tools.tune.probe import Target
from headway.tools.tune.trial import Trial
from headway.tools.tune.tune_report import tune_report

JOB = TuneJob(
    service="service:svc",
    working_dir=Path(),
    document={},
    grid=Grid(
        (
            Choice(what="workers", values=(2, 1)),
            Choice(what="max_batch_size", values=(100, 25), runner="m"),
        ),
        cores=2,
    ),
    sample=SampleRequest("/ask", b"1"),
    target=Target(p99_ms=50),
    state_file=Path("state.json"),
)
TRIALS = [
    Trial(setting=(2, 100), per_s=100, kept=True, p99_ms=9, in_time=1, took_s=4),
    Trial(setting=(2, 100), per_s=400, kept=False, p99_ms=75.25, took_s=2),
    Trial(setting=(2, 25), per_s=0, kept=False, problem="no memory", took_s=1),
    Trial(setting=(1, 100), per_s=150, kept=True, p99_ms=20, in_time=1, took_s=3),
    Trial(setting=(1, 25), per_s=160, kept=False, failed=0.25, took_s=3),
    Trial(
        setting=(1, 100),
        per_s=140,
        kept=True,
        p99_ms=18,
        in_time=1,
        lag_p99_ms=6,
        took_s=5,
        confirms=True,
    ),
]


def made(trials: list[Trial], *, is_stopped: bool = False) -> Report:
    return tune_report(JOB, trials, facts=[("Cores", "2")], is_stopped=is_stopped)


def charts(report: Report) -> dict[str, Chart]:
    return {chart.title: chart for part in report.sections for chart in part.charts}


def points(chart: Chart) -> dict[str, list[tuple[float | str, float | None]]]:
    return {
        series.name: list(zip(series.xs, series.ys, strict=True))
        for series in chart.series
    }


def test_report_shows_the_result_with_reasons() -> None:
    report = made(TRIALS)
    assert report.summary == (
        "140 requests/s within 50 ms, with 1 API worker, batches up to 100."
    )
    [found, *_] = report.sections
    assert found.tables[0].rows == [
        ["API workers", "1 API worker", "chosen: 140/s"],
        ["API workers", "2 API workers", "kept 100/s"],
        ["batches up to", "batches up to 100", "chosen: 140/s"],
        ["batches up to", "batches up to 25", "did not keep 160/s: 25.0% failed"],
    ]
    assert "  max_batch_size: 100\n" in found.code
    assert points(found.charts[0]) == {
        "before": [(100, 9), (400, 75.25)],
        "best": [(140, 18), (150, 20)],
    }
    assert ("Cores", "2") in report.facts


def test_report_shows_every_trial() -> None:
    shown = charts(made(TRIALS))
    assert points(shown["Trials"]) == {
        "kept": [(4, 100), (10, 150)],
        "missed": [(6, 400), (13, 160)],
        "confirmed": [(18, 140)],
    }
    assert points(shown["The best so far"]) == {
        "kept": [(4, 100), (6, 100), (7, 100), (10, 150), (13, 150), (18, 150)]
    }
    assert points(shown["Latency by rate, of all settings"]) == {
        "kept": [(100, 9), (150, 20)],
        "missed": [(400, 75.25), (160, None)],
        "confirmed": [(140, 18)],
    }
    assert points(shown["API workers"]) == {
        "kept": [("1", 150), ("2", 100)],
        "missed": [("1", 160), ("2", 400)],
        "confirmed": [("1", 140)],
    }
    [table] = made(TRIALS).sections[-1].tables
    assert table.rows[:3] == [
        ["1", "2", "100", "100", "kept", "9.0", "100.00%", "0.00%", ""],
        ["2", "2", "100", "400", "missed", "75.2", "0.00%", "0.00%", "p99 75 ms"],
        ["3", "2", "25", "-", "skipped", "-", "-", "-", "no memory"],
    ]
    assert len(table.rows) == len(TRIALS)


@pytest.mark.parametrize(
    ("trials", "is_stopped", "words"),
    [
        (TRIALS, False, ["generator itself sent up to 6.0 ms late"]),
        (TRIALS, True, ["was stopped", "generator itself"]),
        (TRIALS[:1], False, ["no time to confirm it"]),
        (TRIALS[1:2], False, []),
    ],
    ids=["late", "stopped", "unconfirmed", "nothing"],
)
def test_report_lists_problems(
    trials: list[Trial], is_stopped: bool, words: list[str]
) -> None:
    problems = made(trials, is_stopped=is_stopped).problems
    assert len(problems) == len(words)
    assert all(word in text for word, text in zip(words, problems, strict=True))


@pytest.mark.parametrize(
    ("trials", "summary"),
    [
        ([], "Nothing could be measured in so little time: raise --time."),
        (TRIALS[1:2], "No setting keeps a p99 of 50 ms, even at 400/s: the best p99 "),
    ],
    ids=["none", "missed"],
)
def test_report_without_a_result(trials: list[Trial], summary: str) -> None:
    report = made(trials, is_stopped=True)
    assert report.summary.startswith(summary)
    assert report.sections[0].charts == ()
    assert report.sections[0].code == ""
