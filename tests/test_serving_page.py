"""The tables of docs/serving.md say what the code says."""

from collections.abc import Iterator
from pathlib import Path

from headway.errors import CallError, HeadwayError, RefusedError, StartError, StoreError
from headway.metrics import families

PAGE = Path(__file__).parent.parent / "docs" / "serving.md"
# Only their sub-classes reach clients.
ABSTRACT = {CallError, RefusedError}
_ERRORS = HeadwayError.__module__


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without marks of code."""
    section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2]
    lines = section.partition("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    return [
        [cell.strip().replace("`", "") for cell in row.strip("|").split("|")]
        for row in rows[2:]
    ]


def tree(kind: type[HeadwayError]) -> Iterator[type[HeadwayError]]:
    """Yield an error and all below it that a client can get."""
    if issubclass(kind, StartError | StoreError) or kind.__module__ != _ERRORS:
        return
    if kind not in ABSTRACT:
        yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_the_table_of_metrics_is_that_of_the_families() -> None:
    expected = [
        [family.name, family.kind, ", ".join(family.labels), family.help]
        for family in vars(families).values()
        if isinstance(family, families.Family)
    ]
    assert sorted(table("Metrics")) == sorted(expected)


def test_the_table_of_errors_is_that_of_the_classes() -> None:
    written = [row[:3] for row in table("Errors")]
    expected = [
        [str(kind.status), kind.code, "yes" if kind.retryable else "no"]
        for kind in tree(HeadwayError)
    ]
    assert sorted(written) == sorted(expected)
    assert written == sorted(written, key=lambda row: row[0])
