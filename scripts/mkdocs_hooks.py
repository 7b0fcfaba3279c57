"""What the site's build does to a page's Markdown; mkdocs.yml names this file.

The pages carry marks for tests/docs: ```python file=service.py writes a file, and a
comment says why a block is not run. On the site a file becomes the block's title.
"""

import re
from typing import Any

__all__ = ["on_page_markdown"]

_FILE = re.compile(r"^( *`{3,}\w+) file=(\S+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *<!-- run: .*-->\n+", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn the marks into what mkdocs-material knows."""
    return _FILE.sub(r'\1 title="\2"', _COMMENT.sub("", markdown))
