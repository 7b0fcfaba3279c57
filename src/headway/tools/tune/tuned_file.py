"""The configuration that the tuner writes: YAML with a comment on each choice.

cli/tune and the report call it; `headway serve --config` reads the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from headway.tools.tune.grid import Grid, KeyPath, with_keys
from headway.tools.tune.job import TuneJob
from headway.tools.tune.probe import Target
from headway.tools.tune.trial import Setting, Trial, brackets


def render(
    document: Mapping[str, Any],
    comments: Mapping[KeyPath, Sequence[str]],
    *,
    below: KeyPath = (),
) -> str:
    """Return a document as YAML, with comments above their keys.

    Args:
        document: The content of a configuration file.
        comments: Lines of comment by the path of their key.
        below: Path of the document itself.
    """
    return "".join(f"{line}\n" for line in _lines(document, comments, below))


def _lines(
    document: Mapping[str, Any],
    comments: Mapping[KeyPath, Sequence[str]],
    below: KeyPath,
) -> Iterator[str]:
    indent = "  " * len(below)
    for key, value in document.items():
        path = (*below, key)
        yield from (f"{indent}# {line}" for line in comments.get(path, ()))
        name = indent + yaml.safe_dump({key: None}).removesuffix(" null\n")
        if isinstance(value, Mapping) and value:
            yield name
            yield from _lines(value, comments, path)
        else:
            yield f"{name} {_one_line(value)}"


def _one_line(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").rstrip("\n")


def choice_comments(
    grid: Grid, trials: Sequence[Trial], found: Trial
) -> dict[KeyPath, list[str]]:
    """Return the comment on each choice: the results of its values.

    Args:
        grid: The choices.
        trials: All trials.
        found: The best trial.
    """
    results = value_outcomes(grid, trials, found)
    return {
        choice.key: [f"{value}: {result}" for value, result in own]
        for choice, own in zip(grid.choices, results, strict=True)
    }


def value_outcomes(
    grid: Grid, trials: Sequence[Trial], found: Trial
) -> list[list[tuple[str, str]]]:
    """Return the values of each choice with their results, the best value first.

    Args:
        grid: The choices.
        trials: All trials.
        found: The best trial.
    """
    return [
        [
            (choice.text(found.setting[place]), f"{found.per_s:,.0f}/s"),
            *(
                (choice.text(value), _result_of(place, value, trials, found))
                for value in sorted(choice.values)
                if value != found.setting[place]
            ),
        ]
        for place, choice in enumerate(grid.choices)
    ]


def _result_of(place: int, value: int, trials: Sequence[Trial], found: Trial) -> str:
    """Return the result of a value, in the trial closest to the best setting."""

    def distance(setting: Setting) -> int:
        return sum(a != b for a, b in zip(setting, found.setting, strict=True))

    known = brackets(trials)
    tried = [setting for setting in known if setting[place] == value]
    if not tried:
        return "not tried"
    nearest = min(tried, key=distance)
    if known[nearest].problem:
        return f"skipped: {known[nearest].problem}"
    others = "" if distance(nearest) == 1 else " with other choices changed as well"
    if known[nearest].kept:
        return f"kept {known[nearest].kept:,.0f}/s{others}"
    own = [trial for trial in trials if trial.setting == nearest]
    missed = min(own, key=lambda trial: trial.per_s)
    return f"did not keep {missed.per_s:,.0f}/s{others}: {missed.why}"


def configuration(job: TuneJob, trials: Sequence[Trial], found: Trial) -> str:
    """Return the text of the configuration file, with the reasons as comments.

    Args:
        job: What was tuned.
        trials: All trials.
        found: The best trial.
    """
    kept = "kept" if found.confirms else "kept for a moment, not confirmed"
    head = (
        f"# Written by `headway tune {job.service} --p99 {job.target.p99_ms:g}ms`:\n"
        f"# {found.per_s:,.0f} requests/s {kept}, p99 {found.p99_ms or 0:,.1f} ms, "
        f"{job.grid.cores} cores.\n"
    )
    content = with_keys(job.document, job.grid.keys(found.setting))
    return head + render(content, choice_comments(job.grid, trials, found))


def nothing_found(grid: Grid, target: Target, trials: Sequence[Trial]) -> str:
    """Return why there is no best setting."""
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
