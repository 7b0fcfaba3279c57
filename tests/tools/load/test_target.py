"""What a target is, and what is said of one that is no use."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from headway.errors import TrafficError
from headway.tools.sample_request import api_document, as_url, check_listening


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h:1/", "http://h:1"),
        ("https://h/x", "https://h/x"),
        ("localhost:3000", "http://localhost:3000"),
        ("service:svc", None),
        ("folder/service.py", None),
        (":3000", None),
    ],
)
def test_url_or_service(text: str, url: str | None) -> None:
    assert as_url(text) == url


class Pages(http.server.BaseHTTPRequestHandler):
    pages: dict[str, bytes]

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, bytes]]]:
    pages: dict[str, bytes] = {}
    kind = type("WithPages", (Pages,), {"pages": pages})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", pages
        serving.shutdown()
        thread.join()


def test_document_is_where_others_have_it_too(
    server: tuple[str, dict[str, bytes]],
) -> None:
    url, pages = server
    check_listening(url)
    pages["/openapi.json"] = b'{"paths": {}}'
    assert api_document(url) == {"paths": {}}
    pages["/docs.json"] = b'{"openapi": "3.1.0"}'
    assert api_document(url) == {"openapi": "3.1.0"}


@pytest.mark.parametrize("page", [None, b"<html>", b"[]"])
def test_no_document_is_said(
    server: tuple[str, dict[str, bytes]], page: bytes | None
) -> None:
    url, pages = server
    if page is not None:
        pages["/docs.json"] = page
    with pytest.raises(
        TrafficError, match=r"has no OpenAPI document at /docs\.json or"
    ):
        api_document(url)


def test_nobody_listening_is_said(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with pytest.raises(TrafficError, match=r"cannot be reached: .*refused; does a"):
        check_listening(url)
    with pytest.raises(TrafficError, match="does not answer"):
        api_document(url)
