"""Times as people write them: 50ms, 1.5s, 3m.

The commands that take a time call it.
"""

import re

from headway.errors import TrafficError

__all__ = ["parse_seconds"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0}


def parse_seconds(text: str, *, of: str) -> float:
    """Return the seconds that a text says.

    Args:
        text: A number and its unit.
        of: The option, for the message.

    Raises:
        TrafficError: If it says none, or none above 0.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds < 86_400:
        raise TrafficError(f"{of} is {text!r}: write a time, as in 50ms, 1.5s or 3m")
    return seconds
