"""A ladder of rising users: its rungs, as people write them.

The load command, the walk and their tests call it.
"""

import re

import msgspec

from headway.errors import TrafficError

__all__ = ["Rung", "parse_ladder"]

_RUNG = re.compile(r"(\d+)/(\d+(?:\.\d+)?)")
_MOST_USERS = 100_000


class Rung(msgspec.Struct, frozen=True):
    """So many users, of whom so many come each second."""

    users: int
    spawn_per_s: float


def parse_ladder(text: str) -> tuple[Rung, ...]:
    """Return the rungs of a text as `50/10,200/50`.

    Raises:
        TrafficError: If it is none.
    """
    rungs = []
    for part in text.split(","):
        found = _RUNG.fullmatch(part.strip())
        rung = Rung(int(found[1]), float(found[2])) if found else Rung(0, 0)
        if not all(0 < n <= _MOST_USERS for n in (rung.users, rung.spawn_per_s)):
            raise TrafficError(
                f"{text!r} is no ladder: write users/users per second, as in "
                "50/10,200/50"
            )
        rungs.append(rung)
    return tuple(rungs)
