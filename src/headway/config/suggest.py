"""Finds the key that was meant by one that does not exist.

The layers ask it for the end of an error message.
"""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from headway.config.settings import KeyPath

__all__ = ["nearest", "suggest_key"]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like `word`, if one is like it."""
    known = list(known)
    for other in known:
        if word.lower() in re.split(r"[^a-z0-9]", other.lower()):
            return other
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def suggest_key(path: KeyPath, value: Any, known: Collection[KeyPath]) -> str:
    """Return the end of a message on an unknown key.

    Args:
        path: The unknown key's path.
        value: What it holds; a dict if it is a section.
        known: Paths of the settings that the file may have.
    """
    keys = {key[:end] for key in known for end in range(1, len(key) + 1)}
    found = _same_name(path, keys)
    if found:
        return f"did you mean {found}?"
    siblings = sorted(key[-1] for key in keys if key[:-1] == path[:-1])
    word = nearest(path[-1], siblings)
    if word is not None:
        return f"did you mean {word!r}?"
    if isinstance(value, dict):
        # A wrong section around a key that exists: say where that belongs.
        inner = (_same_name((*path, name), keys) for name in value)
        found = next(filter(None, inner), "")
    else:
        elsewhere = nearest(path[-1], sorted({key[-1] for key in keys}))
        found = _same_name((*path[:-1], elsewhere), keys) if elsewhere else ""
    if found:
        return f"did you mean {found}?"
    return f"known here: {', '.join(siblings)}"


def _same_name(path: KeyPath, keys: Collection[KeyPath]) -> str:
    """Return the keys of the same name that are nearest to the path."""
    same = sorted(key for key in keys if key[-1] == path[-1])
    best = max((_shared(key, path) for key in same), default=0)
    near = [".".join(key) for key in same if _shared(key, path) == best]
    return " or ".join(near)


def _shared(one: KeyPath, other: KeyPath) -> int:
    """Return how many keys two paths have in common from the top on."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
