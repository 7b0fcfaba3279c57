"""The HTML of a report's parts; every text that it is given is only text.

page calls it and puts them into its template.
"""

import html
import re
from collections.abc import Iterator, Sequence

from headway.tools.report.chart_text import data_table, describe
from headway.tools.report.document import Chart, Section, Table

__all__ = ["contents", "facts", "problems", "sections"]

_NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*(?: ?[%a-zA-Zµ/]{1,5})?|-|")


def contents(parts: Sequence[Section]) -> str:
    """Return links to all sections."""
    links = [
        f'<li><a href="#section-{number}">{html.escape(part.title)}</a></li>'
        for number, part in enumerate(parts)
    ]
    links.append('<li><a href="#facts">How it was measured</a></li>')
    return f'<nav aria-label="Sections"><ul>{"".join(links)}</ul></nav>'


def problems(texts: Sequence[str]) -> str:
    """Return the notice of what is wrong; nothing if nothing is."""
    if not texts:
        return ""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return (
        '<section class="notice" aria-labelledby="problems">'
        f'<h2 id="problems">To be known first</h2><ul>{items}</ul></section>'
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the table of how it was measured."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>'
        for name, text in pairs
    )
    return (
        '<div class="scroll facts" role="region" aria-labelledby="facts" tabindex="0">'
        '<table><caption class="hidden">How it was measured</caption>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def sections(parts: Sequence[Section], *, is_drawn: bool) -> str:
    """Return all sections.

    Args:
        parts: In their order.
        is_drawn: Whether the page draws charts; else their data stand open.
    """
    return "\n".join(_sections(parts, is_drawn))


def _sections(parts: Sequence[Section], is_drawn: bool) -> Iterator[str]:
    drawn = 0
    for number, part in enumerate(parts):
        name = f"section-{number}"
        yield f'<section aria-labelledby="{name}">'
        yield f'<h2 id="{name}">{html.escape(part.title)}</h2>'
        for paragraph in part.text.split("\n\n"):
            if paragraph:
                yield f"<p>{html.escape(paragraph)}</p>"
        if part.charts:
            yield '<div class="charts">'
            for chart in part.charts:
                yield _figure(chart, drawn, is_drawn)
                drawn += 1
            yield "</div>"
        if part.tables:
            yield '<div class="tables">'
            yield from map(_table, part.tables)
            yield "</div>"
        if part.code:
            yield f'<pre tabindex="0"><code>{html.escape(part.code)}</code></pre>'
        yield "</section>"


def _figure(chart: Chart, number: int, is_drawn: bool) -> str:
    picture = (
        f'<div class="chart" data-chart="{number}" role="img" '
        f'aria-label="{html.escape(describe(chart))}"></div>'
    )
    note = f"<p>{html.escape(chart.note)}</p>" if chart.note else ""
    return (
        f"<figure><figcaption>{html.escape(chart.title)}</figcaption>"
        f"{picture if is_drawn else ''}{note}"
        f"<details{'' if is_drawn else ' open'}><summary>Data of this chart</summary>"
        f"{_table(data_table(chart))}</details></figure>"
    )


def _table(table: Table) -> str:
    title = html.escape(table.title)
    kinds = [_kind(table, place) for place in range(len(table.columns))]
    heads = "".join(
        f'<th scope="col"{kind}>{html.escape(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(f"<tr>{_cells(row, kinds)}</tr>" for row in table.rows)
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    return (
        f'<div class="scroll" role="region" aria-label="{title}" tabindex="0">'
        f"<table><caption>{title}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{note}</div>"
    )


def _cells(row: Sequence[str], kinds: Sequence[str]) -> str:
    head, *others = row
    return f'<th scope="row"{kinds[0]}>{html.escape(head)}</th>' + "".join(
        f"<td{kind}>{html.escape(text)}</td>"
        for text, kind in zip(others, kinds[1:], strict=True)
    )


def _kind(table: Table, place: int) -> str:
    """Return the attribute of a column's cells: numbers stand to the right."""
    is_numeric = all(_NUMBER.fullmatch(row[place]) for row in table.rows)
    return ' class="number"' if is_numeric and table.rows else ""
