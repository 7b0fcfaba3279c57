"""What a report says, before it is a page.

The reports of the tuner, the walk and load tests are made of it; page renders them.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

__all__ = ["Chart", "Report", "Section", "Series", "Table"]


class Series(msgspec.Struct, frozen=True):
    """One line, or the points or bars of one colour."""

    name: str
    xs: Sequence[float | str]
    """Numbers, or names of what stands side by side; all of a chart are alike."""
    ys: Sequence[float | None]
    """As many; None is a gap, and so is what is not finite."""


class Chart(msgspec.Struct, frozen=True):
    """A picture of some series."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    kind: Literal["line", "bar", "points"] = "line"
    log_x: bool = False
    log_y: bool = False
    note: str = ""


class Table(msgspec.Struct, frozen=True):
    """Texts in rows and columns; the first column says what a row is about."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Section(msgspec.Struct, frozen=True):
    """A heading, and what stands below it, in this order."""

    title: str
    text: str = ""
    """An empty line divides paragraphs."""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    code: str = ""
    """A file's content, say; shown as it is."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    title: str
    summary: str
    """What it came to, in a sentence or two."""
    facts: Sequence[tuple[str, str]]
    """How it was measured: the command, the machine; machine.surroundings has some."""
    sections: Sequence[Section]
    problems: Sequence[str] = ()
    """What the reader has to know before believing it."""
    data: object = None
    """The raw results: anything that msgspec makes JSON of. The reader can save it."""
