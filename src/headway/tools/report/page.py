"""Renders a report as one HTML file that needs nothing else.

The commands that measure call it with the content that document describes. Every text
of the report is escaped.
"""

import base64
import contextlib
import hashlib
import html
import os
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from headway.errors import TrafficError
from headway.observability.live.page import asset_file, chart_script, has_charts
from headway.tools.report.chart_text import data_table, describe
from headway.tools.report.document import Chart, Report, Section, Table

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_NO_CHARTS = """<p class="notice" role="note">The charts are missing because plotly was
not installed: <code>pip install 'headway[charts]'</code>. The tables have all figures.
</p>"""
_NO_SCRIPTS = """<noscript><p class="notice">The charts need JavaScript. Their data
is in the tables below them.</p></noscript>"""
# Nothing is loaded from the network, and only these scripts run, whatever the texts
# contain. The chart library sets styles of elements, which needs 'unsafe-inline'.
_POLICY = (
    "default-src 'none'; script-src {}; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*(?: ?[%a-zA-Zµ/]{1,5})?|-|")


def check_place(path: Path) -> None:
    """Check that a report can be written there, before the measurement starts.

    Raises:
        TrafficError: If it cannot.
    """
    folder = path.parent
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise TrafficError(
            f"{path}: the report cannot be written there: name a file in an "
            "existing folder with write permission"
        )


def write_report(report: Report, path: Path) -> None:
    """Write a report atomically.

    Raises:
        TrafficError: If it cannot be written.
    """
    fresh = path.parent / f".{path.name}.{os.getpid()}"
    try:
        fresh.write_bytes(render(report))
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # its folder may not exist
            fresh.unlink()
        raise TrafficError(f"{path}: cannot be written: {error.strerror}") from error


def render(report: Report) -> bytes:
    """Return the content of the file. Without plotly, it has tables but no charts."""
    is_drawn = has_charts()
    library = _inline(chart_script()) if is_drawn else ""
    script = _inline(_asset("theme.js") + _own("report.js"))
    charts = [chart for section in report.sections for chart in section.charts]
    parts = {
        "policy": _policy(library, script),
        "title": html.escape(report.title),
        "style": _asset("page.css") + _own("report.css"),
        "summary": html.escape(report.summary),
        "problems": _problems(report.problems),
        "contents": _contents(report.sections),
        "notice": _NO_SCRIPTS if is_drawn else _NO_CHARTS,
        "sections": "\n".join(_sections(report.sections, is_drawn)),
        "facts": _facts(report.facts),
        "charts": _json(charts),
        "data": _json(report.data),
        "library": library,
        "script": script,
    }
    # In one pass, so that braces in the texts are not replaced.
    text = _PLACE.sub(lambda found: parts[found[1]], _own("report.html"))
    return text.encode("utf-8", "replace")


def _policy(*scripts: str) -> str:
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return _POLICY.format(
        " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    )


def _inline(script: str) -> str:
    """Return a script with line ends as the browser reads them, safe in an element."""
    lines = script.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/script|!--)", r"\\x3c", lines, flags=re.IGNORECASE)


def _json(value: object) -> str:
    """Return JSON for a script element, without characters special in HTML."""
    text = msgspec.json.encode(value).decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _asset(name: str) -> str:
    return asset_file(name).body.decode()


def _own(name: str) -> str:
    folder = files("headway.tools.report")
    return folder.joinpath("assets", name).read_text(encoding="utf-8")


def _contents(parts: Sequence[Section]) -> str:
    """Return links to all sections."""
    links = [
        f'<li><a href="#section-{number}">{html.escape(part.title)}</a></li>'
        for number, part in enumerate(parts)
    ]
    links.append('<li><a href="#facts">How it was measured</a></li>')
    return f'<nav aria-label="Sections"><ul>{"".join(links)}</ul></nav>'


def _problems(texts: Sequence[str]) -> str:
    """Return the notice with the problems; empty if there are none."""
    if not texts:
        return ""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return (
        '<section class="notice" aria-labelledby="problems">'
        f'<h2 id="problems">Read this first</h2><ul>{items}</ul></section>'
    )


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the table of the facts."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>'
        for name, text in pairs
    )
    return (
        '<div class="scroll facts" role="region" aria-labelledby="facts" tabindex="0">'
        '<table><caption class="hidden">How it was measured</caption>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _sections(parts: Sequence[Section], is_drawn: bool) -> Iterator[str]:
    """Yield the HTML of all sections; without charts, their data tables are open."""
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
    """Return the attribute of a column's cells: numbers are right-aligned."""
    is_numeric = all(_NUMBER.fullmatch(row[place]) for row in table.rows)
    return ' class="number"' if is_numeric and table.rows else ""
