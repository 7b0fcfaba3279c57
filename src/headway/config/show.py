"""Shows what was resolved, for `headway serve --print-config`.

The outcome is a configuration file itself, with each value's source as a comment.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from headway.config.documentation import as_yaml
from headway.config.resolved import ResolvedConfig
from headway.config.settings import GENERAL

__all__ = ["render_config"]

_SECRET = frozenset(path for path, setting in GENERAL.items() if setting.is_secret)


def render_config(resolved: ResolvedConfig) -> str:
    """Return all settings as YAML, a source behind each."""
    tree = msgspec.to_builtins(resolved.config)
    del tree["runners"]["methods"]
    for name, runner in resolved.runners.items():
        tree["runners"][name] = msgspec.to_builtins(runner)
    head = f"# file: {resolved.file or 'none'}\n"
    return head + "".join(_lines(tree, (), resolved.sources))


def _lines(
    tree: Mapping[str, Any], path: tuple[str, ...], sources: Mapping[str, str]
) -> Iterator[str]:
    indent = "  " * len(path)
    for key, value in tree.items():
        inner = (*path, key)
        shown = as_yaml(key)
        if isinstance(value, dict):
            if value:
                yield f"{indent}{shown}:\n"
                yield from _lines(value, inner, sources)
        else:
            source = sources.get(".".join(inner))
            if source is not None:
                # A dollar sign would begin a variable if this were read again.
                hidden = value is not None and inner in _SECRET
                text = as_yaml("***" if hidden else value).replace("$", "$$")
                yield f"{indent}{shown}: {text}  # {source}\n"
