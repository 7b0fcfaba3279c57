"""The architecture page names files that exist, and the layers as enforced."""

import re
from pathlib import Path

import headway
from tests.house.import_rules import LAYERS

ROOT = Path(__file__).parents[2]
SOURCE = Path(headway.__file__).parent
TEXT = (ROOT / "docs" / "design" / "architecture.md").read_text("utf-8")


def section(title: str) -> str:
    """Return the text below a heading of the second level."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(text: str) -> list[list[str]]:
    """Return the cells of the only table in a text, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row.strip("|").split("|") for row in rows[2:]]


def test_every_file_named_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", TEXT))
    assert len(named) > 30
    missing = [
        name
        for name in sorted(named)
        if not (ROOT / name if name.startswith("tests/") else SOURCE / name).is_file()
    ]
    assert not missing


def test_layers_table_equals_the_import_rules() -> None:
    written = [
        frozenset(re.findall(r"`(\w+)`", cells[0]))
        for cells in table(section("Layers"))
    ]
    assert tuple(written) == LAYERS


def test_the_page_stays_short_enough_for_a_newcomer() -> None:
    assert TEXT.index("\n## ") == TEXT.index("\n## Glossary\n")
    assert len(table(section("Glossary"))) <= 20
    path = section("One request, by file names")
    steps = re.findall(r"^\d+\. ", path, re.MULTILINE)
    assert 10 <= len(steps) <= 20
