"""The code blocks of the pages on `headway load` and `headway tune` work.

They take the longest, so they have a file of their own, which runs in parallel.
"""

from pathlib import Path

import pytest

from tests.docs.document_run import follow

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
TOOL_PAGES = [GUIDES / "load.md", GUIDES / "tuning.md"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", TOOL_PAGES, ids=lambda page: page.name)
def test_blocks_of_page_work(page: Path, tmp_path: Path, free_port: int) -> None:
    follow(page, tmp_path / "reader", free_port)
