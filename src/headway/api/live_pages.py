"""The live page and what it loads, as pages of the application.

assemble makes them for each API worker, if `api_server.live` is on.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path

from headway.api.application import Page
from headway.api.error_answer import render_error
from headway.errors import UnavailableError
from headway.http.request import Answer, Request
from headway.observability.live.page import (
    ASSETS,
    LIVE_PATH,
    LiveFile,
    asset_file,
    chart_file,
    data_file,
    has_charts,
    page_file,
)

__all__ = ["make_live_pages"]


def make_live_pages(title: str, history: Path) -> dict[str, Page]:
    """Return the pages by path.

    Args:
        title: The service's name.
        history: What the recorder writes. Beside it, the script that draws the charts
            is kept compressed, for all processes.
    """
    chart_cache = history.with_name("charts.js.gz")

    async def data(request: Request) -> Answer:
        # In the event loop: it copies what is in memory, in less time than a thread
        # would take to start (benchmarks/monitoring.py).
        try:
            return _answer(data_file(history, request.query))
        except OSError as error:
            return render_error(UnavailableError(f"there is no history: {error}"))

    async def charts(request: Request) -> Answer:
        return _answer(await asyncio.to_thread(chart_file, chart_cache))

    is_drawn = has_charts()
    return {
        LIVE_PATH: _static(page_file(title, charts=is_drawn)),
        f"{LIVE_PATH}/data": data,
        **({f"{LIVE_PATH}/plotly.js": charts} if is_drawn else {}),
        **{f"{LIVE_PATH}/{name}": _static(asset_file(name)) for name in ASSETS},
    }


def _answer(file: LiveFile) -> Answer:
    return HTTPStatus.OK, file.content_type, file.body, file.headers


def _static(file: LiveFile) -> Page:
    async def page(request: Request) -> Answer:
        return _answer(file)

    return page
