"""A chart for those who do not see it: in a sentence or two, and as a table.

page calls it for each chart.
"""

from collections.abc import Sequence
from math import isfinite

from headway.tools.report.document import Chart, Series, Table

__all__ = ["data_table", "describe", "figure"]

_KINDS = {"line": "Line chart", "bar": "Bar chart", "points": "Points"}
_MOST_TOLD = 6
"""Series that are told one by one; the table has all."""
_MOST_ROWS = 500
"""Of a table: with those of all seconds of a long run the page would open slowly."""
_ALL_DIGITS = 1e5
"""From here on no digits behind the point."""


def figure(value: float | str | None) -> str:
    """Return a number as a text of six digits; a dash if there is none."""
    if isinstance(value, str):
        return value
    if value is None or not isfinite(value):
        return "-"
    if value == int(value) or abs(value) >= _ALL_DIGITS:
        return f"{value:,.0f}"
    return f"{value:,.6g}"


def describe(chart: Chart) -> str:
    """Return what a chart shows: of what by what, and the range of each series."""
    told = [_told(series) for series in chart.series[:_MOST_TOLD]]
    left = len(chart.series) - len(told)
    if left > 0:
        told.append(f"{left} more in the table.")
    head = f"{_KINDS[chart.kind]}: {chart.y_label} by {chart.x_label}."
    return " ".join([head, *(told or ["There is nothing to show."])])


def _told(series: Series) -> str:
    seen = [(y, x) for x, y in _points(series) if y is not None and isfinite(y)]
    if not seen:
        return f"{series.name}: nothing."
    (low, low_at), (high, high_at) = min(seen), max(seen)
    if len(seen) == 1:
        return f"{series.name}: {_short(low)} at {_short(low_at)}."
    return (
        f"{series.name}: lowest {_short(low)} at {_short(low_at)}, "
        f"highest {_short(high)} at {_short(high_at)}."
    )


def _short(value: float | str) -> str:
    """Return it with three digits, as it is to be listened to."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def data_table(chart: Chart) -> Table:
    """Return what a chart shows, with a column for each series if that can be."""
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
        # Several values at one place: they cannot stand in one row.
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
    """Return all that stands on the x-axis, in its order."""
    found = dict.fromkeys(x for one in series for x in one.xs)
    numbers = [x for x in found if not isinstance(x, str)]
    return sorted(numbers) if numbers else [x for x in found if isinstance(x, str)]
