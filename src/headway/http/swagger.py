"""Swagger UI, served from swagger-ui-bundle and http/assets: no CDN, works offline.

api.pages serves `index_html` at `/`; api.application serves `asset` below ASSET_PREFIX.
"""

import html
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["ASSET_PREFIX", "asset", "index_html"]

ASSET_PREFIX = "/-/docs/"
"""Where the page looks for its assets, beneath where the page itself is."""

_OWN = files("headway.http") / "assets"
_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_LIVE_LINK = """<p style="margin: 0; padding: 12px 20px; text-align: right;
font-family: sans-serif"><a href="{url}">What the server is doing now</a></p>
"""


def index_html(
    title: str, openapi_url: str = "./docs.json", live_url: str | None = None
) -> bytes:
    """Return the page.

    Args:
        title: Of the page, as plain text.
        openapi_url: Of the OpenAPI document, absolute or relative to the page.
        live_url: Of the live page, likewise; None if there is none.
    """
    link = "" if live_url is None else _LIVE_LINK.format(url=html.escape(live_url))
    page = _OWN.joinpath("index.html").read_text(encoding="utf-8")
    return page.format(
        live_link=link,
        title=html.escape(title),
        openapi_url=html.escape(openapi_url),
        assets="." + ASSET_PREFIX,
    ).encode()


def asset(name: str) -> tuple[str, bytes] | None:
    """Return (content type, bytes) of one of the page's assets, None if it has none.

    The bytes are read from the installed package; callers should keep them.

    Args:
        name: What follows ASSET_PREFIX in the path.
    """
    if name == "start.js":
        return _TYPES["swagger-ui-bundle.js"], _OWN.joinpath(name).read_bytes()
    content_type = _TYPES.get(name)
    if content_type is None:
        return None
    return content_type, _directory().joinpath(name).read_bytes()


def _directory() -> Traversable:
    vendor = files("swagger_ui_bundle").joinpath("vendor")
    # The directory is named for the version of Swagger UI.
    return max(vendor.iterdir(), key=lambda directory: directory.name)
