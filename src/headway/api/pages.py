"""Headway's own pages: documentation, probes, metrics and the live page.

server/assembly makes them for the application of each API worker.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path

import msgspec

from headway.api.application import Page
from headway.api.runner_client import RunnerClient
from headway.core.version import __version__
from headway.errors import UnavailableError
from headway.http.openapi import build_openapi
from headway.http.request import JSON_TYPE, Answer, Request, render_error
from headway.http.swagger import ASSET_PREFIX, ASSETS, asset, index_html
from headway.metrics import read_samples
from headway.metrics.exposition import CONTENT_TYPE, render
from headway.observability.live.page import ASSETS as LIVE_ASSETS
from headway.observability.live.page import (
    LIVE_PATH,
    LiveFile,
    asset_file,
    chart_file,
    data_file,
    has_charts,
    page_file,
)
from headway.service.service import ServiceDefinition


def make_pages(
    *,
    service: ServiceDefinition,
    clients: Sequence[RunnerClient],
    metrics_dir: Path | None,
    history: Path | None,
    is_draining: Callable[[], bool],
) -> dict[str, Page]:
    """Return the pages by path.

    Args:
        service: The documented service.
        clients: Of the runners, which /readyz waits for.
        metrics_dir: Holds a slot for each process; None serves no metrics.
        history: The live recorder's file; None serves no live page.
        is_draining: Whether the server is shutting down.
    """

    async def index(request: Request) -> Answer:
        live_url = None if history is None else f".{LIVE_PATH}"
        body = index_html(service.name, live_url=live_url)
        return HTTPStatus.OK, b"text/html; charset=utf-8", body, ()

    async def docs_asset(request: Request) -> Answer:
        name = request.path.removeprefix(ASSET_PREFIX)
        return HTTPStatus.OK, ASSETS[name], asset(name), ()

    async def ready(request: Request) -> Answer:
        runners = {client.name: client.is_ready for client in clients}
        is_ready = all(runners.values()) and not is_draining()
        body = msgspec.json.encode(
            {"ready": is_ready, "draining": is_draining(), "runners": runners}
        )
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, JSON_TYPE, body, ()

    pages: dict[str, Page] = {
        "/": index,
        "/docs.json": _json_answer(build_openapi(service, __version__)),
        "/livez": _json_answer({"live": True}),
        "/healthz": _json_answer({"live": True}),
        "/readyz": ready,
        **{ASSET_PREFIX + name: docs_asset for name in ASSETS},
    }
    if history is not None:
        pages |= make_live_pages(service.name, history)
    if metrics_dir is not None:
        pages["/metrics"] = functools.partial(_metrics, metrics_dir)
    return pages


async def _metrics(metrics_dir: Path, request: Request) -> Answer:
    def body() -> bytes:
        return render(read_samples(sorted(metrics_dir.glob("*.bin"))))

    return HTTPStatus.OK, CONTENT_TYPE, await asyncio.to_thread(body), ()


def make_live_pages(title: str, history: Path) -> dict[str, Page]:
    """Return the live page and its files by path.

    Args:
        title: The service's name.
        history: The recorder's file. Beside it, the script that draws the charts is
            kept compressed, for all processes.
    """
    chart_cache = history.with_name("charts.js.gz")

    async def data(request: Request) -> Answer:
        # In the event loop: it copies what is in memory, in less time than a thread
        # would take to start (benchmarks/monitoring.py).
        try:
            return _file_answer(data_file(history, request.query))
        except OSError as error:
            return render_error(UnavailableError(f"there is no history: {error}"))

    async def charts(request: Request) -> Answer:
        return _file_answer(await asyncio.to_thread(chart_file, chart_cache))

    is_drawn = has_charts()
    return {
        LIVE_PATH: _file_answer(page_file(title, charts=is_drawn)),
        f"{LIVE_PATH}/data": data,
        **({f"{LIVE_PATH}/plotly.js": charts} if is_drawn else {}),
        **{
            f"{LIVE_PATH}/{name}": _file_answer(asset_file(name))
            for name in LIVE_ASSETS
        },
    }


def _file_answer(file: LiveFile) -> Answer:
    return HTTPStatus.OK, file.content_type, file.body, file.headers


def _json_answer(value: object) -> Answer:
    return HTTPStatus.OK, JSON_TYPE, msgspec.json.encode(value), ()
