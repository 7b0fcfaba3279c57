"""Headway's own pages."""

from pathlib import Path

from headway.api.pages import make_live_pages
from headway.config.schema import ApiServerConfig
from headway.http.head import HeadParser
from headway.http.request import Request


async def test_the_live_page_without_a_history_is_unavailable(tmp_path: Path) -> None:
    pages = make_live_pages("credit", tmp_path / "history")
    head = HeadParser(ApiServerConfig()).parse(
        b"GET /-/live/data HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    request = Request(None, head, "GET", "/-/live/data", b"", 0.0)
    data = pages["/-/live/data"]
    assert callable(data)
    status, _, body, headers = await data(request)
    assert status == 503
    assert b"there is no history" in body
    assert dict(headers)[b"retry-after"]
