"""Finds the fenced code blocks of a Markdown page; document_run executes them.

The info string of a block is its language and options: ```python file=service.py. A
comment before a block that cannot be run says why:

    <!-- run: skip, because it takes minutes -->
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RUN = frozenset({"bash", "json", "python", "toml", "yaml"})
"""Languages that are executed or parsed."""
SHOWN = frozenset({"console", "http", "mermaid", "text"})
"""Languages that are only shown."""

_FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,}) *(?P<info>[^`]*)$")
_SKIP = re.compile(r"<!-- run: skip, because (?P<reason>\S.*) -->")


class Block(NamedTuple):
    """One code block."""

    page: Path
    line: int
    language: str
    file: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that can be run, in order.

    Raises:
        ValueError: If a fence is not closed, a language unknown, an option unknown or
            a `run:` comment without its reason or its block.
    """
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    skip = False
    numbered = enumerate(lines, start=1)
    for number, line in numbered:
        opening = _FENCE.match(line)
        if opening is None:
            if skip and line.strip():
                raise ValueError(f"{page.name}:{number}: `run: skip` without a block")
            if line.strip().startswith("<!-- run:"):
                if _SKIP.fullmatch(line.strip()) is None:
                    raise ValueError(
                        f"{page.name}:{number}: write "
                        "<!-- run: skip, because REASON -->"
                    )
                skip = True
            continue
        fence = opening["fence"]
        text = []
        for _, inner in numbered:
            if inner.strip().startswith(fence) and not inner.strip().strip(fence[0]):
                break
            text.append(inner)
        else:
            raise ValueError(f"{page.name}:{number}: the block is not closed")
        language, file = _info(f"{page.name}:{number}", opening["info"].split())
        if language in RUN and not skip:
            body = textwrap.dedent("\n".join(text)) + "\n"
            yield Block(page, number, language, file, body)
        skip = False


def _info(where: str, words: list[str]) -> tuple[str, str | None]:
    language, *options = words or [""]
    if language not in RUN | SHOWN:
        raise ValueError(
            f"{where}: language {language!r}; use one of {sorted(RUN | SHOWN)}"
        )
    file = None
    for option in options:
        key, _, value = option.partition("=")
        if key != "file" or not value:
            raise ValueError(f"{where}: option {option!r}; there is only file=NAME")
        file = value
    return language, file
