"""Swagger UI, served from swagger-ui-bundle and http/assets: no CDN, works offline.

api/pages serves `index_html` at `/`, and ASSETS beneath ASSET_PREFIX.
"""

import html
from functools import cache
from importlib.resources import files

ASSET_PREFIX = "/-/docs/"
"""Where the page looks for its assets, beneath where the page itself is."""

_OWN = files("headway.http") / "assets"
ASSETS = {
    "start.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "favicon-32x32.png": b"image/png",
}
"""Content types of the page's assets, by name."""
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


@cache
def asset(name: str) -> bytes:
    """Return one of ASSETS, read from the installed packages."""
    if name == "start.js":
        return _OWN.joinpath(name).read_bytes()
    vendor = files("swagger_ui_bundle").joinpath("vendor")
    # The directory is named for the version of Swagger UI.
    directory = max(vendor.iterdir(), key=lambda directory: directory.name)
    return directory.joinpath(name).read_bytes()
