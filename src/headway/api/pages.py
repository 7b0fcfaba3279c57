"""Headway's own pages: documentation, probes and metrics.

assemble makes them for the application of each API worker.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path

import msgspec

from headway.api.application import Page, json_page
from headway.api.error_answer import JSON_TYPE
from headway.api.live_pages import make_live_pages
from headway.api.runner_client import RunnerClient
from headway.core.version import __version__
from headway.http.openapi import build_openapi
from headway.http.request import Answer, Request
from headway.http.swagger import index_html
from headway.metrics import read_samples
from headway.metrics.exposition import CONTENT_TYPE, render
from headway.observability.live.page import LIVE_PATH
from headway.service.service import Service

__all__ = ["make_pages"]


def make_pages(
    *,
    service: Service,
    clients: Sequence[RunnerClient],
    metrics_dir: Path | None,
    history: Path | None,
    is_draining: Callable[[], bool],
) -> dict[str, Page]:
    """Return the pages by path.

    Args:
        service: Is documented.
        clients: Tell which runners are ready.
        metrics_dir: Holds a slot for each process; None serves no metrics.
        history: What the recorder writes; None serves no live page.
        is_draining: Whether the server is on its way down.
    """

    async def index(request: Request) -> Answer:
        live_url = None if history is None else f".{LIVE_PATH}"
        body = index_html(service.name, live_url=live_url)
        return HTTPStatus.OK, b"text/html; charset=utf-8", body, ()

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
        "/docs.json": json_page(build_openapi(service, __version__)),
        "/livez": json_page({"live": True}),
        "/healthz": json_page({"live": True}),
        "/readyz": ready,
    }
    if history is not None:
        pages |= make_live_pages(service.name, history)
    if metrics_dir is not None:
        pages["/metrics"] = functools.partial(_metrics, metrics_dir)
    return pages


async def _metrics(metrics_dir: Path, request: Request) -> Answer:
    body = await asyncio.to_thread(_render_metrics, metrics_dir)
    return HTTPStatus.OK, CONTENT_TYPE, body, ()


def _render_metrics(metrics_dir: Path) -> bytes:
    return render(read_samples(sorted(metrics_dir.glob("*.bin"))))
