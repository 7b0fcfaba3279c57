"""Every code block of the README and the docs works.

CONTRIBUTING.md has the rules for blocks; document_blocks and document_run apply them.
Pages that run `headway load` and `headway tune` are in test_tool_pages.
"""

from pathlib import Path

import pytest

from headway.errors import ConfigError
from tests.docs.document_blocks import read_blocks
from tests.docs.document_run import follow
from tests.docs.test_tool_pages import TOOL_PAGES

ROOT = Path(__file__).parents[2]
DOCS = sorted({*(ROOT / "docs").rglob("*.md")} - {*TOOL_PAGES})
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)
def test_blocks_of_page_work(page: Path, tmp_path: Path, free_port: int) -> None:
    follow(page, tmp_path / "reader", free_port)


def write(folder: Path, text: str) -> Path:
    """Write a page."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```python\nassert False\n```", id="python-raises"),
        pytest.param("```python\nimport os; os._exit(0)\n```", id="python-exits"),
        pytest.param("```python\nraise SystemExit(0)\n```", id="python-system-exit"),
        pytest.param("1. x\n\n   ```bash\n   exit 3\n   ```", id="bash-fails"),
        pytest.param("```bash\nfalse | true\n```", id="bash-pipe-fails"),
        pytest.param(
            "```bash\nheadway serve no_such_module:svc\n```", id="serve-fails"
        ),
    ],
)
def test_broken_block_fails(text: str, tmp_path: Path, free_port: int) -> None:
    with pytest.raises(AssertionError, match=r"^page.md:\d+ "):
        follow(write(tmp_path, text), tmp_path / "reader", free_port)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("```json\n{]\n```", ValueError, id="json"),
        pytest.param("```toml\na =\n```", ValueError, id="toml"),
        pytest.param("```python file=a.py\ndef\n```", SyntaxError, id="python-file"),
    ],
)
def test_block_that_does_not_parse_fails(
    text: str, error: type[Exception], tmp_path: Path, free_port: int
) -> None:
    with pytest.raises(error):
        follow(write(tmp_path, text), tmp_path / "reader", free_port)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("runners: {bathcing: {enabled: true}}", id="unknown-key"),
        pytest.param("runners: [", id="broken"),
    ],
)
@pytest.mark.parametrize("info", ["yaml", "yaml file=headway.yaml"])
def test_yaml_block_is_checked_as_configuration(
    text: str, info: str, tmp_path: Path, free_port: int
) -> None:
    page = write(tmp_path, f"```{info}\n{text}\n```")
    with pytest.raises(ConfigError):
        follow(page, tmp_path / "reader", free_port)


def test_blocks_share_folder_namespace_and_port(tmp_path: Path, free_port: int) -> None:
    text = """
```python file=shop/price.py
PRICE = 3000
```
```python
from shop.price import PRICE
double = 2 * PRICE
```
```python
open("double", "w").write(str(double))
```
```bash
grep -x "$((2 * 3000))" double
```
```text
this is not run
```
"""
    follow(write(tmp_path, text), tmp_path / "reader", free_port)
    double = (tmp_path / "reader" / "double").read_text("utf-8")
    assert double == str(2 * free_port)


def test_skipped_block_is_not_run(tmp_path: Path, free_port: int) -> None:
    text = "<!-- run: skip, because it fails -->\n\n```bash\nfalse\n```\n"
    follow(write(tmp_path, text), tmp_path / "reader", free_port)


def test_skip_holds_for_one_block_only(tmp_path: Path) -> None:
    block = "```bash\nfalse\n```\n"
    page = write(tmp_path, f"<!-- run: skip, because it fails -->\n{block}{block}")
    assert [block.line for block in read_blocks(page)] == [5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("```\nls\n```", "page.md:1: language ''", id="no-language"),
        pytest.param("```pyhton\n```", "language 'pyhton'", id="unknown-language"),
        pytest.param("```bash fiel=x\n```", "option 'fiel=x'", id="unknown-option"),
        pytest.param("```bash\nls", "page.md:1: the block is not closed", id="open"),
        pytest.param(
            "<!-- run: skip -->\n```bash\n```", "because REASON", id="no-reason"
        ),
        pytest.param(
            "<!-- run: skip, because x -->\nwords\n```bash\n```",
            "page.md:2: `run: skip` without a block",
            id="skip-without-block",
        ),
    ],
)
def test_unclear_page_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_blocks(write(tmp_path, text))
