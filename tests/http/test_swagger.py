import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.http.swagger import ASSET_PREFIX, ASSETS, asset, index_html


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.title = ""
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "data-openapi-url")
        ]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "title":
            self.title += data


def _read(page: bytes) -> _Page:
    parser = _Page()
    parser.feed(page.decode())
    return parser


def test_the_page_refers_to_its_own_assets_and_nothing_else() -> None:
    page = _read(index_html("credit"))
    assets = [link for link in page.links if link != "./docs.json"]
    assert len(assets) == 4
    assert "./docs.json" in page.links
    for link in assets:
        assert link.startswith("." + ASSET_PREFIX)
        name = link.removeprefix("." + ASSET_PREFIX)
        assert asset(name)
        assert ASSETS[name].split(b";")[0] in (
            b"text/css",
            b"text/javascript",
            b"image/png",
        )
    assert b"http" not in index_html("credit")


def test_no_asset_but_the_pages_own_is_served() -> None:
    for name in ("", "index.html", "../__init__.py", "/etc/passwd", "swagger-ui.js"):
        assert name not in ASSETS


@given(st.text())
def test_any_title_is_only_text(title: str) -> None:
    page = _read(index_html(title))
    assert page.tags == _read(index_html("plain")).tags


def test_it_links_to_the_live_page_if_there_is_one() -> None:
    assert "./-/live" in _read(index_html("credit", live_url="./-/live")).links
    assert "./-/live" not in _read(index_html("credit")).links


def test_the_title_and_the_document_are_named() -> None:
    page = _read(index_html("<b> & co", openapi_url="/v1/docs.json"))
    assert page.title.strip() == "<b> & co"
    assert "/v1/docs.json" in page.links


def _to_30(document: dict[str, object], tmp_path: Path) -> dict[str, object]:
    """Run the page's own translation of OpenAPI 3.1 on a document."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = tmp_path / "run.js"
    body = msgspec.json.encode(document).decode()
    script.write_text(
        f"""
        const body = {msgspec.json.encode(body).decode()};
        global.document = {{
          baseURI: "http://host/pre/",
          getElementById: () => ({{ dataset: {{ openapiUrl: "./docs.json" }} }}),
        }};
        global.window = {{}};
        global.SwaggerUIBundle = (options) => {{
          const response = {{ url: options.url, ok: true, text: body }};
          console.log(options.responseInterceptor(response).text);
        }};
        global.SwaggerUIBundle.presets = {{}};
        {asset("start.js").decode()}
        """
    )
    done = subprocess.run([node, script], capture_output=True, check=True, timeout=15)
    translated: dict[str, object] = msgspec.json.decode(done.stdout)
    return translated


def test_the_page_translates_what_its_swagger_ui_cannot_draw(tmp_path: Path) -> None:
    schemas = {
        "Nullable": {"type": ["string", "null"]},
        "Several": {"type": ["string", "integer"]},
        "Optional": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "T"},
        "OptionalRef": {
            "anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]
        },
        "Const": {"const": "a"},
        "Tuple": {"type": "array", "prefixItems": [{"type": "integer"}]},
        "Bound": {"type": "integer", "exclusiveMinimum": 0},
        "Bare": {"type": "array"},
        "Examples": {"type": "integer", "examples": [3]},
        "Plain": {"type": "object", "example": {"type": ["string", "null"]}},
    }
    document: dict[str, object] = {
        "openapi": "3.1.0",
        "info": {},
        "paths": {},
        "components": {"schemas": schemas},
    }
    translated = _to_30(document, tmp_path)
    assert translated["openapi"] == "3.0.3"
    assert translated["components"] == {
        "schemas": {
            "Nullable": {"type": "string", "nullable": True},
            "Several": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "Optional": {"type": "integer", "nullable": True, "title": "T"},
            "OptionalRef": {
                "allOf": [{"$ref": "#/components/schemas/A"}],
                "nullable": True,
            },
            "Const": {"enum": ["a"]},
            "Tuple": {"type": "array", "items": {"anyOf": [{"type": "integer"}]}},
            "Bound": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "Bare": {"type": "array", "items": {}},
            "Examples": {"type": "integer", "example": 3},
            "Plain": schemas["Plain"],
        }
    }


def test_other_versions_are_left_alone(tmp_path: Path) -> None:
    document: dict[str, object] = {"openapi": "3.0.3", "x": {"type": ["a", "null"]}}
    assert _to_30(document, tmp_path) == document


def test_this_swagger_ui_still_needs_the_translation() -> None:
    """Fail, so that the translation goes, once the package draws OpenAPI 3.1."""
    bundle = asset("swagger-ui-bundle.js")
    assert re.search(rb'"3\.0\."', bundle)
    assert b'"3.1.' not in bundle
