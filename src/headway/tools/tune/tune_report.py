"""The report of a tuner run: the result, the search, each choice, and all trials.

cli/tune calls it, also for a run that was stopped.
"""

from collections.abc import Sequence
from itertools import accumulate

from headway.tools.report.document import Chart, Report, Section, Series, Table
from headway.tools.tune.grid import Choice, Grid
from headway.tools.tune.job import TuneJob
from headway.tools.tune.probe import Target
from headway.tools.tune.search import best
from headway.tools.tune.trial import Setting, Trial
from headway.tools.tune.tuned_file import configuration, nothing_found, value_outcomes

_RESULTS = ("kept", "missed", "confirmed")
_RATE = "requests sent per second"
_LATE_SHARE = 0.1
"""Share of the target; a larger delay of the generator distorts the result."""


def tune_report(
    job: TuneJob,
    trials: Sequence[Trial],
    *,
    facts: Sequence[tuple[str, str]],
    is_stopped: bool,
) -> Report:
    """Return the report of a tuner run.

    Args:
        job: What was tuned.
        trials: All trials, in order.
        facts: Name and value of each fact about the machine.
        is_stopped: Whether the user stopped it.
    """
    found = best(trials)
    return Report(
        title=f"Tuning {job.service}",
        summary=_summary(job, trials, found),
        facts=[
            ("Service", job.service),
            ("Target", f"99% of requests within {job.target.p99_ms:g} ms"),
            *facts,
        ],
        sections=[
            _found(job, trials, found),
            _search(job.target, trials),
            Section(
                "Each choice",
                "Every trial, by the value of each choice. Trials with the same value "
                "differ in the other choices.",
                charts=[
                    _by_choice(choice, place, trials)
                    for place, choice in enumerate(job.grid.choices)
                ],
            ),
            Section("All trials", tables=[_table(job.grid, trials)]),
        ],
        problems=_problems(job.target, found, is_stopped=is_stopped),
        data={
            "service": job.service,
            "target": job.target,
            "choices": job.grid.choices,
            "trials": trials,
        },
    )


def _summary(job: TuneJob, trials: Sequence[Trial], found: Trial | None) -> str:
    if found is None:
        text = nothing_found(job.grid, job.target, trials)
        return f"{text[0].upper()}{text[1:]}."
    return (
        f"{found.per_s:,.0f} requests/s within {job.target.p99_ms:g} ms, with "
        f"{job.grid.text(found.setting) or 'the settings as they are'}."
    )


def _problems(target: Target, found: Trial | None, *, is_stopped: bool) -> list[str]:
    problems = []
    if is_stopped:
        problems.append(
            "The search was stopped; the report shows what it had found until then."
        )
    if found is not None and not found.confirms:
        problems.append(
            "The rate was kept in a short trial only; there was no time to confirm it."
        )
    if found is not None and found.lag_p99_ms > _LATE_SHARE * target.p99_ms:
        problems.append(
            f"The generator itself sent up to {found.lag_p99_ms:.1f} ms late, which "
            "counts as latency: with more cores, the service may keep a higher rate."
        )
    return problems


def _found(job: TuneJob, trials: Sequence[Trial], found: Trial | None) -> Section:
    title = "The setting"
    if found is None:
        return Section(title, "No setting keeps the target so far.")
    outcomes = value_outcomes(job.grid, trials, found)
    rows = [
        [choice.title, value, ("" if place else "chosen: ") + outcome]
        for choice, own in zip(job.grid.choices, outcomes, strict=True)
        for place, (value, outcome) in enumerate(own)
    ]
    series = [_latencies("best", trials, found.setting)]
    before = tuple(values[0] for values in job.grid.values)
    if before != found.setting:
        series.insert(0, _latencies("before", trials, before))
    return Section(
        title,
        "Each choice with the results of its values, and the configuration for "
        "`headway serve`.",
        charts=[
            Chart(
                "Latency by rate",
                _RATE,
                "p99 in ms",
                series,
                kind="points",
                log_x=True,
                log_y=True,
                note="If a trial ended early, its p99 is a lower bound.",
            )
        ],
        tables=[Table("Why", ["choice", "value", "result"], rows)],
        code=configuration(job, trials, found),
    )


def _latencies(name: str, trials: Sequence[Trial], setting: Setting) -> Series:
    own = [trial for trial in trials if trial.setting == setting and not trial.problem]
    own.sort(key=lambda trial: trial.per_s)
    return Series(name, [trial.per_s for trial in own], [trial.p99_ms for trial in own])


def _search(target: Target, trials: Sequence[Trial]) -> Section:
    ended_s = list(accumulate(trial.took_s for trial in trials))
    rates = [trial.per_s for trial in trials]
    highest = accumulate((trial.per_s if trial.kept else 0.0 for trial in trials), max)
    seconds = "seconds of search"
    return Section(
        "The search",
        "The rate of a setting is raised until the target is missed, then bisected. "
        "Every other setting must keep a higher rate than the best so far, in a single "
        "trial.",
        charts=[
            Chart(
                "Trials",
                seconds,
                _RATE,
                _by_result(trials, ended_s, rates),
                kind="points",
            ),
            Chart(
                "The best so far",
                seconds,
                "requests/s kept",
                [Series("kept", ended_s, [rate or None for rate in highest])],
            ),
            Chart(
                "Latency by rate, of all settings",
                _RATE,
                "p99 in ms",
                _by_result(trials, rates, [trial.p99_ms for trial in trials]),
                kind="points",
                log_x=True,
                log_y=True,
                note=f"The target is {target.p99_ms:g} ms. If 1 in 100 requests "
                "failed, there is no p99.",
            ),
        ],
    )


def _by_choice(choice: Choice, place: int, trials: Sequence[Trial]) -> Chart:
    ordered = sorted(trials, key=lambda trial: trial.setting[place])
    values = [str(trial.setting[place]) for trial in ordered]
    rates = [trial.per_s for trial in ordered]
    return Chart(
        choice.title,
        choice.title,
        _RATE,
        _by_result(ordered, values, rates),
        kind="points",
    )


def _by_result(
    trials: Sequence[Trial],
    xs: Sequence[float | str],
    ys: Sequence[float | None],
) -> list[Series]:
    """Return a series for each result, even if empty, so that each keeps its colour.

    Skipped trials are in none.
    """
    series = []
    for result in _RESULTS:
        at = [n for n, trial in enumerate(trials) if trial.result == result]
        series.append(Series(result, [xs[n] for n in at], [ys[n] for n in at]))
    return series


def _table(grid: Grid, trials: Sequence[Trial]) -> Table:
    return Table(
        "All trials, in order",
        [
            "trial",
            *(choice.title for choice in grid.choices),
            *("requests/s", "result", "p99 ms", "in time", "failed", "why"),
        ],
        [
            [str(number), *map(str, trial.setting), *_cells(trial)]
            for number, trial in enumerate(trials, 1)
        ],
    )


def _cells(trial: Trial) -> list[str]:
    if trial.problem:
        return ["-", trial.result, "-", "-", "-", trial.problem]
    return [
        f"{trial.per_s:,.0f}",
        trial.result,
        "-" if trial.p99_ms is None else f"{trial.p99_ms:,.1f}",
        f"{trial.in_time:.2%}",
        f"{trial.failed:.2%}",
        "" if trial.kept else trial.why,
    ]
