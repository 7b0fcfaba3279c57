"""Sample requests from services and OpenAPI documents, and the targets of a load."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import headway
from headway.errors import TrafficError
from headway.io import JSON, NumpyNdarray, Text
from headway.io.base import IODescriptor
from headway.tools.sample_request import (
    SampleRequest,
    api_document,
    as_url,
    check_listening,
    sample_of_service,
)


class Flower(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"petals": 5}]})

    petals: int


def service(**inputs: IODescriptor | None) -> headway.Service:
    made = headway.Service("garden")
    for name, descriptor in inputs.items():

        def ask(value: Any) -> Any:
            return value

        made.api(ask, name=name, input=descriptor, output=JSON())
    return made


@pytest.mark.parametrize(
    ("descriptor", "body", "content_type"),
    [
        (JSON.from_sample({"a": 1}), b'{"a":1}', "application/json"),
        (JSON(pydantic_model=Flower), b'{"petals":5}', "application/json"),
        (NumpyNdarray(shape=(-1, 2)), b"[[0.0,0.0]]", "application/json"),
        (Text.from_sample("hello"), b"hello", "text/plain"),
    ],
)
def test_documented_sample_is_the_request(
    descriptor: IODescriptor, body: bytes, content_type: str
) -> None:
    found = sample_of_service(service(ask=descriptor))
    assert found == SampleRequest("/ask", body, content_type)


def test_body_and_route_may_be_given() -> None:
    several = service(ask=JSON(), tell=Text())
    assert sample_of_service(several, route="/tell", body=b"x") == SampleRequest(
        "/tell", b"x", "text/plain"
    )


def test_api_without_a_body_gets_none() -> None:
    made = headway.Service("garden")

    @made.api(output=JSON())
    def ask() -> int:
        return 1

    assert sample_of_service(made) == SampleRequest("/ask", b"")


@pytest.mark.parametrize(
    ("made", "route", "message"),
    [
        (service(ask=JSON()), None, "/ask has no sample in its documentation: give"),
        (
            service(ask=JSON(), tell=JSON()),
            None,
            "several APIs; name one of /ask, /tell",
        ),
        (service(ask=JSON()), "/tell", "it has no /tell; name one of /ask"),
    ],
)
def test_missing_sample_or_route_is_refused(
    made: headway.Service, route: str | None, message: str
) -> None:
    with pytest.raises(TrafficError, match=message):
        sample_of_service(made, route=route)


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
def test_target_is_a_url_or_a_service(text: str, url: str | None) -> None:
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


def test_document_is_found_at_both_paths(
    server: tuple[str, dict[str, bytes]],
) -> None:
    url, pages = server
    check_listening(url)
    pages["/openapi.json"] = b'{"paths": {}}'
    assert api_document(url) == {"paths": {}}
    pages["/docs.json"] = b'{"openapi": "3.1.0"}'
    assert api_document(url) == {"openapi": "3.1.0"}


@pytest.mark.parametrize("page", [None, b"<html>", b"[]"])
def test_missing_document_is_refused(
    server: tuple[str, dict[str, bytes]], page: bytes | None
) -> None:
    url, pages = server
    if page is not None:
        pages["/docs.json"] = page
    with pytest.raises(
        TrafficError, match=r"has no OpenAPI document at /docs\.json or"
    ):
        api_document(url)


def test_unreachable_server_is_refused(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with pytest.raises(TrafficError, match=r"cannot be reached: .*refused; does a"):
        check_listening(url)
    with pytest.raises(TrafficError, match="does not answer"):
        api_document(url)
