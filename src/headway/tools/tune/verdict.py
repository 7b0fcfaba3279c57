"""What a search came to: the configuration, or why there is none.

cli/tune and the walk print it.
"""

from collections.abc import Sequence

from headway.tools.tune.grid import Grid, with_keys
from headway.tools.tune.probe import Target
from headway.tools.tune.trial import Trial
from headway.tools.tune.tuned_file import reasons, render
from headway.tools.tune.tuner import TuneJob

__all__ = ["configuration", "nothing_found"]


def configuration(job: TuneJob, trials: Sequence[Trial], found: Trial) -> str:
    """Return the text of the configuration file with a setting, and why it is so.

    Args:
        job: What was tuned.
        trials: All of them.
        found: That of the best setting.
    """
    kept = "kept" if found.confirms else "kept for a moment"
    head = (
        f"# Written by `headway tune {job.service} --p99 {job.target.p99_ms:g}ms`:\n"
        f"# {found.per_s:,.0f} requests/s {kept}, p99 {found.p99_ms or 0:,.1f} ms, "
        f"{job.grid.cores} cores.\n"
    )
    content = with_keys(job.document, job.grid.keys(found.setting))
    return head + render(content, reasons(job.grid, trials, found))


def nothing_found(grid: Grid, target: Target, trials: Sequence[Trial]) -> str:
    """Return why no setting is to be told."""
    measured = [trial for trial in trials if not trial.problem]
    if not trials:
        return "nothing could be measured in so little time: raise --time"
    if not measured:
        return f"no setting could be measured: {trials[0].problem}"
    seen = [trial for trial in measured if trial.p99_ms is not None]
    if not seen:
        worst = min(measured, key=lambda trial: trial.failed)
        return f"no setting answers: {worst.failed:.1%} of {worst.per_s:g}/s failed"
    nearest = min(seen, key=lambda trial: trial.p99_ms or 0)
    lowest = min(trial.per_s for trial in measured)
    return (
        f"no setting keeps a p99 of {target.p99_ms:g} ms, even at {lowest:g}/s: the "
        f"best p99 was {nearest.p99_ms:,.1f} ms, at {nearest.per_s:g}/s with "
        f"{grid.text(nearest.setting)}"
    )
