"""A report in a real browser: it draws its data and loads nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from headway.tools.report import page as pages
from headway.tools.report.document import Chart, Report, Section, Series, Table
from headway.tools.report.page import write_report
from tests.observability.live.browser import Visit, open_browser

pytestmark = pytest.mark.timeout(60)  # a browser, a page of 5 MB

CHARTS = [
    Chart(
        "Rates",
        "seconds",
        "requests/s",
        [
            Series("kept", [1, 2.5, 3], [100, 400.123456, None]),
            Series("missed", [2], [1600]),
        ],
        kind="points",
        log_y=True,
    ),
    Chart(
        "Stages",
        "stage",
        "requests/s",
        [
            Series(
                "rate",
                ["sync", "async", "a name that is too long for its place"],
                [200, 1234.5678, 40000],
            ),
        ],
        kind="bar",
    ),
    Chart(
        "Latency",
        "users",
        "ms",
        [
            Series(
                f"stage number {n}", [50, 200, 1000], [n + 1, 2.5 * n + 1, 25 * n + 1]
            )
            for n in range(8)
        ],
        log_x=True,
        note="Of all users.",
    ),
]
HOSTILE = '</script><img src=x onerror=alert(1)> & "quotes" {{data}}'
DATA = {"answer": 42, "text": HOSTILE, "signs": "<!--\u2028\u0000é\ud7ff", "none": None}
REPORT = Report(
    title=f"Tuning {HOSTILE}",
    summary="400 requests/s within 50 ms.",
    facts=[("Command", "headway tune " + "x" * 400), ("Cores", "2")],
    sections=[
        Section("The search", "What was tried.", CHARTS[:2]),
        Section(
            "By users",
            charts=CHARTS[2:],
            tables=[
                Table(
                    "Trials",
                    ["setting", *(f"figure {n}" for n in range(12))],
                    [["2 API workers", *(f"{n * 1000:,}" for n in range(12))]],
                ),
            ],
            code="runners:\n  # " + "long " * 100,
        ),
    ],
    problems=["The machine was busy."],
    data=DATA,
)
DRAWN = """() => [...document.querySelectorAll(".chart")].map((chart) => chart.data.map(
  ({ name, x, y }) => ({ name, x: [...x], y: [...y] })))"""
NO_SIDEWAYS = "document.documentElement.scrollWidth <= window.innerWidth"
FONT = "document.querySelector('.chart').layout.font.color"
TEXT_COLOUR = (
    "getComputedStyle(document.documentElement).getPropertyValue('--text').trim()"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as made:
        yield made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(REPORT, path)
    return path


def opened(browser: Browser, file: Path, **options: Any) -> Visit:
    visit = Visit(browser, **options)
    visit.page.goto(file.as_uri())
    visit.wait_for("document.querySelectorAll('.chart .main-svg').length >= 6")
    return visit


def cells(page: Page, caption: str) -> list[list[str]]:
    table = page.get_by_role("table", name=caption, exact=True)
    rows: list[list[str]] = table.locator("tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    return rows


def test_charts_show_the_given_numbers(browser: Browser, file: Path) -> None:
    visit = opened(browser, file)
    page = visit.page
    drawn = page.evaluate(DRAWN)
    assert drawn == [
        [{"name": s.name, "x": list(s.xs), "y": list(s.ys)} for s in chart.series]
        for chart in CHARTS
    ]
    figures = page.locator("figure")
    assert [figures.nth(n).locator("figcaption").inner_text() for n in range(3)] == [
        chart.title for chart in CHARTS
    ]
    assert figures.nth(0).locator(".scatterlayer .trace .points path").count() == 3
    assert figures.nth(1).locator(".barlayer .point path").count() == 3
    assert figures.nth(2).locator(".scatterlayer .trace .lines path").count() == 8
    assert figures.nth(2).locator(".legend .traces").count() == 8
    assert visit.complaints == []
    assert visit.hosts <= {"file", "data", "blob"}


def test_charts_have_descriptions_and_tables(browser: Browser, file: Path) -> None:
    visit = opened(browser, file)
    page = visit.page
    pictures = page.locator(".chart[role=img]")
    assert pictures.count() == len(CHARTS)
    said = pictures.nth(1).get_attribute("aria-label")
    assert said == (
        "Bar chart: requests/s by stage. rate: lowest 200 at sync, "
        "highest 40,000 at a name that is too long for its place."
    )
    headings = page.locator("h1, h2").evaluate_all(
        "all => all.map((one) => one.tagName + ' ' + one.innerText)"
    )
    assert headings[0].startswith("H1 Tuning </script><img src=x")
    assert headings[1:] == [
        "H2 Read this first",
        *("H2 The search", "H2 By users", "H2 How it was measured"),
    ]
    for summary in page.locator("summary").all():
        summary.focus()
        page.keyboard.press("Enter")
    assert cells(page, "Rates: the data") == [
        ["seconds", "kept", "missed"],
        *(["1", "100", "-"], ["2", "-", "1,600"]),
        *(["2.5", "400.123", "-"], ["3", "-", "-"]),
    ]
    assert cells(page, "Trials")[1][:3] == ["2 API workers", "0", "1,000"]
    assert visit.complaints == []


def test_keyboard_reaches_all_controls(browser: Browser, file: Path) -> None:
    page = opened(browser, file).page
    names = []
    for _ in range(5):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText"))
    assert names == [
        *("Skip to the report", "Save the data (JSON)", "The search", "By users"),
        "How it was measured",
    ]
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#facts"


def test_data_can_be_saved(browser: Browser, file: Path, tmp_path: Path) -> None:
    visit = opened(browser, file)
    with visit.page.expect_download() as waited:
        visit.page.get_by_role("button", name="Save the data").click()
    assert re.fullmatch(r"Tuning-[\w-]+\.json", waited.value.suggested_filename)
    saved = tmp_path / "data.json"
    waited.value.save_as(saved)
    assert msgspec.json.decode(saved.read_bytes()) == DATA
    assert visit.complaints == []


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_page_fits_and_follows_the_colour_scheme(
    browser: Browser, file: Path, width: int
) -> None:
    visit = opened(browser, file, width=width, height=740)
    page = visit.page
    for details in page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert page.evaluate(NO_SIDEWAYS)
    light = page.evaluate(TEXT_COLOUR)
    assert page.evaluate(FONT) == light
    page.emulate_media(color_scheme="dark")
    visit.wait_for(f"{FONT} === {TEXT_COLOUR}")
    assert page.evaluate(FONT) != light
    assert page.evaluate(NO_SIDEWAYS)
    assert visit.complaints == []


def test_data_tables_are_open_without_charts(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "has_charts", lambda: False)
    plain = tmp_path / "plain.html"
    write_report(REPORT, plain)
    visit = Visit(browser, width=360)
    visit.page.goto(plain.as_uri())
    assert "pip install 'headway[charts]'" in visit.page.inner_text("main")
    assert visit.page.get_by_text("400.123").is_visible()
    assert visit.page.evaluate(NO_SIDEWAYS)
    assert visit.complaints == []
