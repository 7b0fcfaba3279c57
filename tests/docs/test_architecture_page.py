"""The architecture page names files that exist, and the layers as enforced."""

import re
from pathlib import Path

import headway
from tests.house.import_rules import LAYERS

ROOT = Path(__file__).parents[2]
SOURCE = Path(headway.__file__).parent
TEXT = (ROOT / "docs" / "design" / "architecture.md").read_text("utf-8")


def test_every_file_named_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", TEXT))
    assert len(named) > 30
    missing = [
        name
        for name in sorted(named)
        if not (ROOT / name if name.startswith("tests/") else SOURCE / name).is_file()
    ]
    assert not missing


def test_the_table_of_layers_is_the_enforced_one() -> None:
    section = TEXT.partition("\n## Layers\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    written = [frozenset(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows[2:]]
    assert tuple(written) == LAYERS
