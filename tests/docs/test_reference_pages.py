"""The pages of docs/reference say what the code says, and every page is in the nav."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from scripts.mkdocs_hooks import on_page_markdown
from scripts.reference_pages import main, pages

from headway.errors import CallError, HeadwayError, RefusedError, StartError, StoreError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Only their sub-classes reach clients.
ABSTRACT = {CallError, RefusedError}
# A retry of the same request may succeed.
RETRYABLE = {408, 429, 503, 504}
_ERRORS = HeadwayError.__module__


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.name))
def test_generated_page_is_current(path: Path) -> None:
    """If not: run scripts/docs."""
    assert path.read_text("utf-8") == pages()[path]


def test_stale_page_is_reported_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = tmp_path / "docs" / "reference"
    reference.mkdir(parents=True)
    monkeypatch.setattr("scripts.reference_pages.REFERENCE", reference)
    assert main(["--check"]) == 1
    assert "docs/reference/cli.md is out of date: run scripts/docs" in (
        capsys.readouterr().err
    )
    assert main([]) == 0
    assert main(["--check"]) == 0


def rows(page: Path, head: str) -> list[list[str]]:
    """Return the cells of a table, found by its head, without backticks."""
    table = page.read_text("utf-8").partition(f"\n{head}\n")[2].partition("\n\n")[0]
    return [
        [cell.strip().replace("`", "") for cell in row.strip("|").split("|")]
        for row in table.splitlines()[1:]
    ]


def tree(kind: type[HeadwayError]) -> Iterator[type[HeadwayError]]:
    """Yield an error and its sub-classes, as far as clients can get them."""
    if issubclass(kind, StartError | StoreError) or kind.__module__ != _ERRORS:
        return
    if kind not in ABSTRACT:
        yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_every_error_that_clients_get_is_in_the_table() -> None:
    page = DOCS / "reference" / "errors.md"
    written = [row[:3] for row in rows(page, "| status | code | retry | meaning |")]
    expected = [
        [str(kind.status), kind.code, "yes" if kind.status in RETRYABLE else "no"]
        for kind in tree(HeadwayError)
    ]
    assert sorted(written) == sorted(expected)
    assert written == sorted(written)


def test_every_error_code_has_advice() -> None:
    text = (DOCS / "reference" / "errors.md").read_text("utf-8")
    advice = text.partition("\n## What to do\n")[2]
    codes = {kind.code for kind in tree(HeadwayError)}
    tools_only = {"traffic", "sample_request_failed"}
    assert not [code for code in codes - tools_only if f"`{code}`" not in advice]


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def files(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            for child in entry.values():
                yield from files(child)
        else:
            assert isinstance(entry, list)
            for child in entry:
                yield from files(child)

    listed = sorted(files(config["nav"]))
    assert listed == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_marks_of_code_blocks_become_titles() -> None:
    text = (
        '<!-- run: skip, because x -->\n\n```python file=a.py\nx = "file=b.py"\n```\n'
    )
    assert on_page_markdown(text) == '```python title="a.py"\nx = "file=b.py"\n```\n'
