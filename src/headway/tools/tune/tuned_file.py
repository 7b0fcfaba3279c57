"""The configuration that the tuner writes: YAML with a comment for each choice.

tuner calls it; `headway serve --config` reads what it writes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from headway.tools.tune.grid import Grid, KeyPath
from headway.tools.tune.trial import Setting, Trial, brackets

__all__ = ["fates", "reasons", "render"]


def render(
    document: Mapping[str, Any],
    comments: Mapping[KeyPath, Sequence[str]],
    *,
    below: KeyPath = (),
) -> str:
    """Return a document as YAML, comments above the keys that they are for.

    Args:
        document: The content of a configuration file.
        comments: Lines by the path of the key.
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


def reasons(
    grid: Grid, trials: Sequence[Trial], found: Trial
) -> dict[KeyPath, list[str]]:
    """Return why each choice was made: what it kept, and what the others did.

    Args:
        grid: The choices.
        trials: All of them.
        found: The winner's.
    """
    told = fates(grid, trials, found)
    return {
        choice.key: [f"{value}: {fate}" for value, fate in own]
        for choice, own in zip(grid.choices, told, strict=True)
    }


def fates(
    grid: Grid, trials: Sequence[Trial], found: Trial
) -> list[list[tuple[str, str]]]:
    """Return for each choice its values and how they fared, the winner's first.

    Args:
        grid: The choices.
        trials: All of them.
        found: The winner's.
    """
    return [
        [
            (choice.text(found.setting[place]), f"{found.per_s:,.0f}/s"),
            *(
                (choice.text(value), _fared(place, value, trials, found))
                for value in sorted(choice.values)
                if value != found.setting[place]
            ),
        ]
        for place, choice in enumerate(grid.choices)
    ]


def _fared(place: int, value: int, trials: Sequence[Trial], found: Trial) -> str:
    """Return how a value fared, all else as near to the winner's as was tried."""

    def distance(setting: Setting) -> int:
        return sum(a != b for a, b in zip(setting, found.setting, strict=True))

    known = brackets(trials)
    tried = [setting for setting in known if setting[place] == value]
    if not tried:
        return "not tried"
    nearest = min(tried, key=distance)
    if known[nearest].problem:
        return f"skipped: {known[nearest].problem}"
    others = "" if distance(nearest) == 1 else " with other choices changed, too"
    if known[nearest].kept:
        return f"kept {known[nearest].kept:,.0f}/s{others}"
    own = [trial for trial in trials if trial.setting == nearest]
    missed = min(own, key=lambda trial: trial.per_s)
    return f"did not keep {missed.per_s:,.0f}/s{others}: {missed.why}"
