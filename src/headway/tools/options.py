"""Parses the values of command options: durations and load steps.

The commands `load`, `tune` and `walk` call it.
"""

import re

import msgspec

from headway.errors import TrafficError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0}
_STEP = re.compile(r"(\d+)/(\d+(?:\.\d+)?)")
_MOST_USERS = 100_000


def parse_seconds(text: str, *, of: str) -> float:
    """Return a duration in seconds.

    Args:
        text: A number and its unit.
        of: Name of the option, for the message.

    Raises:
        TrafficError: If the text is not a duration above 0.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds < 86_400:
        raise TrafficError(f"{of} is {text!r}: write a time, as in 50ms, 1.5s or 3m")
    return seconds


class LoadStep(msgspec.Struct, frozen=True):
    """A number of users, and how many of them are spawned per second."""

    users: int
    spawn_per_s: float


def parse_ladder(text: str) -> tuple[LoadStep, ...]:
    """Return the load steps of a text like `50/10,200/50`.

    Raises:
        TrafficError: If the text is not a ladder of load steps.
    """
    steps = []
    for part in text.split(","):
        found = _STEP.fullmatch(part.strip())
        step = LoadStep(int(found[1]), float(found[2])) if found else LoadStep(0, 0)
        if not all(0 < n <= _MOST_USERS for n in (step.users, step.spawn_per_s)):
            raise TrafficError(
                f"{text!r} is not a ladder: write users/users per second, as in "
                "50/10,200/50"
            )
        steps.append(step)
    return tuple(steps)
