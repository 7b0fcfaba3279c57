"""Descriptions and tables of charts."""

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.tools.report.chart_text import data_table, describe, figure
from headway.tools.report.document import Chart, Series

places = st.integers(-1000, 1000)
heights = st.none() | st.floats()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (nan, "-"),
        (-inf, "-"),
        (0.0, "0"),
        (12, "12"),
        (1234.5678, "1,234.57"),
        (0.000123, "0.000123"),
        (34874.0, "34,874"),
        (1234567.8, "1,234,568"),
        ("sync", "sync"),
    ],
)
def test_numbers_are_formatted(value: float | str | None, text: str) -> None:
    assert figure(value) == text


def test_description_has_the_range_of_each_series() -> None:
    chart = Chart(
        "Rates",
        "seconds",
        "requests/s",
        [
            Series("kept", [1, 2, 3], [100, 40.126, None]),
            Series("missed", [5], [1600]),
            Series("unknown", [1, 2], [None, nan]),
        ],
    )
    assert describe(chart) == (
        "Line chart: requests/s by seconds. kept: lowest 40.1 at 2, highest 100 at 1. "
        "missed: 1,600 at 5. unknown: no data."
    )


def test_description_of_many_series_and_of_none() -> None:
    series = [Series(f"s{number}", ["a"], [number]) for number in range(8)]
    text = describe(Chart("", "x", "y", series, kind="bar"))
    assert "s5: 5 at a. 2 more in the table." in text
    assert "s6" not in text
    assert describe(Chart("", "x", "y", [])).endswith("There is no data.")


def test_series_with_different_x_share_rows() -> None:
    chart = Chart(
        "T", "x", "y", [Series("a", [3, 1], [30, 10]), Series("b", [2, 3], [2, 3])]
    )
    table = data_table(chart)
    assert table.title == "T: the data"
    assert table.columns == ["x", "a", "b"]
    assert table.rows == [["1", "10", "-"], ["2", "-", "2"], ["3", "30", "3"]]


def test_names_keep_their_order() -> None:
    chart = Chart("T", "stage", "y", [Series("a", ["sync", "async"], [1, None])])
    assert data_table(chart).rows == [["sync", "1"], ["async", "-"]]


def test_long_table_is_thinned() -> None:
    seconds = list(range(1201))
    table = data_table(Chart("T", "x", "y", [Series("a", seconds, seconds)]))
    assert [row[0] for row in table.rows[:3]] == ["0", "3", "6"]
    assert len(table.rows) == 401
    assert table.note == "One row in 3, of 1,201."


@given(st.lists(st.lists(st.tuples(places, heights), max_size=6), max_size=4))
def test_table_has_every_value(
    points: list[list[tuple[int, float]]],
) -> None:
    chart = Chart(
        "T",
        "x",
        "y",
        [
            Series(str(n), [x for x, _ in one], [y for _, y in one])
            for n, one in enumerate(points)
        ],
    )
    table = data_table(chart)
    assert all(len(row) == len(table.columns) for row in table.rows)
    cells = [cell for row in table.rows for cell in row]
    for x, y in (point for one in points for point in one):
        assert figure(x) in cells
        if y is not None and isfinite(y):
            assert cells.count(figure(y)) >= 1
    assert describe(chart)
