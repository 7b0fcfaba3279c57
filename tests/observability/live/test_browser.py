"""The live page in a real browser: it draws the server's figures."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser

from headway.observability.live.page import page_file
from tests.observability.live.browser import Visit, open_browser
from tests.serving.load import Load
from tests.serving.metrics import Metrics
from tests.serving.server import Server

pytestmark = pytest.mark.timeout(60)  # a browser, several processes

CHARTS = (
    *("answered", "latency", "refused", "sizes", "distribution"),
    *("queue", "wait", "compute", "costs", "busy"),
)
LINES = (
    *("answered", "latency", "refused", "queue", "wait", "compute", "costs", "busy"),
)
POINTS = """([name, least]) => {
  const chart = document.querySelector(`[data-chart=${name}]`);
  return chart.data && chart.data.some(
    (trace) => trace.y.filter((value) => value != null).length >= least);
}"""
TOTAL = """([id, text]) => document.getElementById(id).innerText.includes(text)"""
NO_SIDEWAYS = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = "api_server: {workers: 2}\nrunners: {workers_per_resource: 2}"
    with Server("crawl:svc", production=True, config=config) as made:
        yield made


@contextmanager
def traffic(port: int) -> Iterator[None]:
    """Send requests from a thread, as the browser's interface is not asynchronous."""
    over = threading.Event()

    async def send() -> None:
        async with Load(port, clients=6):
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(send()))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_page_draws_the_figures_of_metrics(server: Server, browser: Browser) -> None:
    visit = Visit(browser, height=3000)  # tall enough for all charts
    page = visit.page
    with traffic(server.port):
        page.goto(f"http://127.0.0.1:{server.port}/-/live")
        for chart in CHARTS:
            visit.wait_for(POINTS, [chart, 1 if chart in ("distribution",) else 2])
        assert visit.number("#rate") > 0
        for chart in LINES:
            drawn = page.locator(f"[data-chart={chart}] .scatterlayer .trace path")
            assert drawn.count() > 0, chart
        assert page.locator("[data-chart=sizes] .heatmaplayer image").count() == 1
        assert page.locator("[data-chart=distribution] .barlayer path").count() > 0
        said = page.locator(".chart[role=img]").evaluate_all(
            "charts => charts.map((chart) => chart.getAttribute('aria-label'))"
        )
        assert len(said) == len(CHARTS)
        assert all(said)
        assert "requests per second" in page.inner_text("#spoken")
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        metrics = Metrics.parse(answer.read().decode())
    answered = metrics.total("headway_requests_total", endpoint="/crawl", code="200")
    visit.wait_for(TOTAL, ["answered-totals", f"{answered:,.0f}"])
    batches = metrics.total("headway_runner_batch_size_rows_count")
    rows = metrics.total("headway_runner_rows_total")
    counts = page.inner_text("[data-table=counts]")
    assert f"batches\t{batches:,.0f}\n" in counts
    assert f"rows\t{rows:,.0f}\n" in counts
    replicas = page.inner_text("[data-table=replicas]")
    assert replicas.count("idle") == metrics.total("headway_replica_up") == 2
    learned = metrics.total(
        "headway_runner_batch_cost_seconds", rows="4", statistic="mean"
    )
    assert f"4\t{learned * 1000:.3g} ms" in page.inner_text("[data-table=costs]")
    assert visit.complaints == []
    assert visit.hosts <= {"127.0.0.1", "data", "blob"}


def test_page_on_a_dark_phone(server: Server, browser: Browser) -> None:
    light, dark = Visit(browser), Visit(browser, width=360, height=740, scheme="dark")
    shades = []
    for visit in (light, dark):
        visit.page.goto(f"http://127.0.0.1:{server.port}/-/live")
        visit.wait_for(POINTS, ["answered", 1])
        background = "getComputedStyle(document.body).backgroundColor"
        shades.append(visit.page.evaluate(background))
        assert visit.page.evaluate(NO_SIDEWAYS)
        # Charts are drawn when they become visible.
        visit.page.locator("[data-chart=busy]").scroll_into_view_if_needed()
        visit.wait_for(POINTS, ["busy", 1])
        assert visit.page.evaluate(NO_SIDEWAYS)
        assert visit.complaints == []
    assert shades[0] != shades[1]


def test_keyboard_reaches_all_controls_and_can_pause(
    server: Server, browser: Browser
) -> None:
    visit = Visit(browser, calm=True)
    page = visit.page
    page.goto(f"http://127.0.0.1:{server.port}/-/live")
    visit.wait_for("document.getElementById('status').innerText === 'Live'")
    names = []
    for _ in range(5):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText"))
    assert names[:4] == ["Skip to the figures", "Pause", "API", "Metrics"]
    page.focus("#pause")
    page.keyboard.press("Space")
    assert page.inner_text("#status") == "Paused"
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.keyboard.press("Space")
    visit.wait_for("document.getElementById('status').innerText === 'Live'")
    assert visit.complaints == []


def test_page_without_charts_has_all_figures(server: Server, browser: Browser) -> None:
    visit = Visit(browser)
    page = visit.page
    plain = page_file("crawl", charts=False)
    headers = {name.decode(): value.decode() for name, value in plain.headers}
    page.route(
        "**/-/live",
        lambda route: route.fulfill(
            body=plain.body.decode(), content_type="text/html", headers=headers
        ),
    )
    page.goto(f"http://127.0.0.1:{server.port}/-/live")
    visit.wait_for("document.querySelector('[data-table=replicas]')?.rows.length === 2")
    assert "pip install 'headway[charts]'" in page.inner_text("main")
    assert page.locator("figure:visible").count() == 0
    assert visit.complaints == []
