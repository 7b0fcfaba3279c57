"""The live page's files: the page itself, its style and scripts, and its data.

api/pages serves them beneath LIVE_PATH.
"""

import gzip
import html
import importlib.util
import os
import re
from importlib.resources import files
from pathlib import Path

import msgspec

from headway.observability.charts import chart_script
from headway.observability.live.history import read_history

__all__ = [
    "ASSETS",
    "LIVE_PATH",
    "LiveFile",
    "asset_file",
    "chart_file",
    "data_file",
    "has_charts",
    "page_file",
]

LIVE_PATH = "/-/live"

ASSETS = {
    "page.css": b"text/css; charset=utf-8",
    "live.css": b"text/css; charset=utf-8",
    "theme.js": b"text/javascript; charset=utf-8",
    "live.js": b"text/javascript; charset=utf-8",
    "charts.js": b"text/javascript; charset=utf-8",
}
"""Beneath LIVE_PATH, with their types."""

_SINCE = re.compile(r"(?:^|&)since=([0-9]{1,18})(?:&|$)")
_HTML = b"text/html; charset=utf-8"
_SCRIPT = b"text/javascript; charset=utf-8"
_JSON = b"application/json"
# Nothing is loaded or asked for but from this server. The chart library sets styles of
# elements, which is what 'unsafe-inline' is for; scripts are only those of files.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_NO_CHARTS = """<p class="notice" role="note">There are no charts, as plotly is not
installed: <code>pip install 'headway[charts]'</code>. The figures are all here.</p>"""
_CHARTS = '<script src="live/plotly.js" defer></script>'


class LiveFile(msgspec.Struct, frozen=True):
    """What is sent for one path."""

    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def has_charts() -> bool:
    """Return whether plotly is installed, without importing it."""
    return importlib.util.find_spec("plotly") is not None


def page_file(title: str, *, charts: bool) -> LiveFile:
    """Return the page.

    Args:
        title: The service's name.
        charts: Whether there is a script to draw them.
    """
    text = _read("live.html").decode()
    text = text.replace("{{title}}", html.escape(title))
    text = text.replace("{{notice}}", "" if charts else _NO_CHARTS)
    text = text.replace("{{charts}}", _CHARTS if charts else "")
    policy = ((b"content-security-policy", _POLICY), (b"cache-control", b"no-cache"))
    return LiveFile(_HTML, text.encode(), policy)


def asset_file(name: str) -> LiveFile:
    """Return one of ASSETS."""
    return LiveFile(ASSETS[name], _read(name), ((b"cache-control", b"no-cache"),))


def chart_file(cache: Path) -> LiveFile:
    """Return plotly's script, compressed.

    Args:
        cache: Where the compressed script is kept for all processes of the server;
            the first that is asked makes it.

    Raises:
        MissingExtraError: If plotly is not installed.
        OSError: If the file cannot be written.
    """
    if not cache.exists():
        fresh = cache.with_name(f"{cache.name}.{os.getpid()}")
        fresh.write_bytes(gzip.compress(chart_script().encode(), 6, mtime=0))
        fresh.replace(cache)
    headers = (
        (b"content-encoding", b"gzip"),
        (b"cache-control", b"public, max-age=86400"),
    )
    return LiveFile(_SCRIPT, cache.read_bytes(), headers)


def data_file(history: Path, query: str) -> LiveFile:
    """Return the seconds after the one that the query names, and the totals.

    Args:
        history: What the recorder writes.
        query: `since=NUMBER`; without it, all that is kept.

    Raises:
        OSError: If the history cannot be read.
    """
    found = _SINCE.search(query)
    excerpt = read_history(history, int(found[1]) if found else 0)
    body = b'{"run":"%d","newest":%d,"seconds":[%b],"totals":%b}' % (
        excerpt.run,
        excerpt.newest,
        b",".join(excerpt.seconds),
        excerpt.totals,
    )
    return LiveFile(_JSON, body, ((b"cache-control", b"no-store"),))


def _read(name: str) -> bytes:
    return files("headway.observability.live").joinpath("assets", name).read_bytes()
