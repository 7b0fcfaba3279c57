"""The tables of docs/serving.md and docs/monitoring.md say what the code says."""

from collections.abc import Iterator
from pathlib import Path

from headway.errors import CallError, HeadwayError, RefusedError, StartError, StoreError
from headway.metrics import families

DOCS = Path(__file__).parents[2] / "docs"
# Only their sub-classes reach clients.
ABSTRACT = {CallError, RefusedError}
_ERRORS = HeadwayError.__module__


def table(page: str, head: str) -> list[list[str]]:
    """Return the cells of a table that is known by its head, without marks of code."""
    text = (DOCS / page).read_text("utf-8").partition(f"\n{head}\n")[2]
    rows = [head, *text.partition("\n\n")[0].splitlines()]
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
        if isinstance(family, families.Family) and family.kind != "log"
    ]
    written = table("monitoring.md", "| name | kind | labels | meaning |")
    assert sorted(written) == sorted(expected)


def test_every_label_of_a_metric_is_explained() -> None:
    labels = {
        label
        for family in vars(families).values()
        if isinstance(family, families.Family)
        for label in family.labels
    }
    written = [row[0] for row in table("monitoring.md", "| label | values |")]
    assert sorted(written) == sorted(labels)


def test_the_table_of_errors_is_that_of_the_classes() -> None:
    written = [
        row[:3] for row in table("serving.md", "| status | code | retry | when |")
    ]
    expected = [
        [str(kind.status), kind.code, "yes" if kind.retryable else "no"]
        for kind in tree(HeadwayError)
    ]
    assert sorted(written) == sorted(expected)
    assert written == sorted(written, key=lambda row: row[0])
