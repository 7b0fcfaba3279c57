"""A chart as text, for screen readers: a short description and a table.

page calls it for each chart.
"""

from collections.abc import Sequence
from math import isfinite

from headway.tools.report.document import Chart, Series, Table

_KINDS = {"line": "Line chart", "bar": "Bar chart", "points": "Points"}
_MOST_DESCRIBED = 6
"""Maximum series in the description; the table has all of them."""
_MOST_ROWS = 500
"""Maximum rows of a table: one row per second of a long run would be too slow."""
_ALL_DIGITS = 1e5
"""Larger numbers have no decimals."""


def figure(value: float | str | None) -> str:
    """Return a number with six digits; a dash for no value."""
    if isinstance(value, str):
        return value
    if value is None or not isfinite(value):
        return "-"
    if value == int(value) or abs(value) >= _ALL_DIGITS:
        return f"{value:,.0f}"
    return f"{value:,.6g}"


def describe(chart: Chart) -> str:
    """Return a description: the axes, and the range of each series."""
    described = [_describe_series(series) for series in chart.series[:_MOST_DESCRIBED]]
    left = len(chart.series) - len(described)
    if left > 0:
        described.append(f"{left} more in the table.")
    head = f"{_KINDS[chart.kind]}: {chart.y_label} by {chart.x_label}."
    return " ".join([head, *(described or ["There is no data."])])


def _describe_series(series: Series) -> str:
    seen = [(y, x) for x, y in _points(series) if y is not None and isfinite(y)]
    if not seen:
        return f"{series.name}: no data."
    (low, low_at), (high, high_at) = min(seen), max(seen)
    if len(seen) == 1:
        return f"{series.name}: {_short(low)} at {_short(low_at)}."
    return (
        f"{series.name}: lowest {_short(low)} at {_short(low_at)}, "
        f"highest {_short(high)} at {_short(high_at)}."
    )


def _short(value: float | str) -> str:
    """Return a value with three digits, short enough to be read aloud."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def data_table(chart: Chart) -> Table:
    """Return the data of a chart, with a column for each series where possible."""
    columns, rows = _rows(chart)
    step = -(-len(rows) // _MOST_ROWS)
    return Table(
        title=f"{chart.title}: the data",
        columns=columns,
        rows=rows[::step] if step > 1 else rows,
        note=f"One row in {step}, of {len(rows):,}." if step > 1 else "",
    )


def _rows(chart: Chart) -> tuple[list[str], list[list[str]]]:
    if any(len(set(series.xs)) < len(series.xs) for series in chart.series):
        # Several values at one x do not fit into one row.
        rows = [
            [series.name, figure(x), figure(y)]
            for series in chart.series
            for x, y in _points(series)
        ]
        return ["series", chart.x_label, chart.y_label], rows
    columns = [dict(_points(series)) for series in chart.series]
    rows = [
        [figure(x), *(figure(column.get(x)) for column in columns)]
        for x in _places(chart.series)
    ]
    return [chart.x_label, *(series.name for series in chart.series)], rows


def _points(series: Series) -> list[tuple[float | str, float | None]]:
    return list(zip(series.xs, series.ys, strict=True))


def _places(series: Sequence[Series]) -> list[float] | list[str]:
    """Return all values of the x-axis, in order."""
    found = dict.fromkeys(x for one in series for x in one.xs)
    numbers = [x for x in found if not isinstance(x, str)]
    return sorted(numbers) if numbers else [x for x in found if isinstance(x, str)]
