"""The live page's files: HTML, style, scripts and data.

api/pages serves them beneath LIVE_PATH; reports embed the style and the scripts.
"""

import gzip
import html
import importlib.util
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from headway.errors import MissingExtraError
from headway.observability.live.history import read_history

LIVE_PATH = "/-/live"

ASSETS = ("page.css", "live.css", "theme.js", "live.js", "charts.js")
"""Files beneath LIVE_PATH."""

_SINCE = re.compile(r"(?:^|&)since=([0-9]{1,18})(?:&|$)")
_CSS = b"text/css; charset=utf-8"
_SCRIPT = b"text/javascript; charset=utf-8"
# The page loads from this server only, and scripts from files only. The chart library
# sets styles of elements, which needs 'unsafe-inline'.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_NO_CHARTS = """<p class="notice" role="note">The charts are missing because plotly is
not installed: <code>pip install 'headway[charts]'</code>. All figures are here.</p>"""
_CHARTS = '<script src="live/plotly.js" defer></script>'


class LiveFile(msgspec.Struct, frozen=True):
    """A response for one path."""

    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def has_charts() -> bool:
    """Return whether plotly is installed, without importing it."""
    return importlib.util.find_spec("plotly") is not None


def page_file(title: str, *, charts: bool) -> LiveFile:
    """Return the page; the title is the service's name."""
    text = _read("live.html").decode()
    text = text.replace("{{title}}", html.escape(title))
    text = text.replace("{{notice}}", "" if charts else _NO_CHARTS)
    text = text.replace("{{charts}}", _CHARTS if charts else "")
    policy = ((b"content-security-policy", _POLICY), (b"cache-control", b"no-cache"))
    return LiveFile(b"text/html; charset=utf-8", text.encode(), policy)


def asset_file(name: str) -> LiveFile:
    """Return one of ASSETS."""
    kind = _CSS if name.endswith(".css") else _SCRIPT
    return LiveFile(kind, _read(name), ((b"cache-control", b"no-cache"),))


@cache
def chart_script() -> str:
    """Return plotly's JavaScript, a few MB, from its package: no page needs a network.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError(
            "charts need plotly: pip install 'headway[charts]'"
        ) from error
    script: str = get_plotlyjs()
    return script


def chart_file(cache_file: Path) -> LiveFile:
    """Return plotly's script, compressed.

    Args:
        cache_file: File with the compressed script, shared by all processes; the first
            request creates it.

    Raises:
        MissingExtraError: If plotly is not installed.
        OSError: If the file cannot be written.
    """
    if not cache_file.exists():
        fresh = cache_file.with_name(f"{cache_file.name}.{os.getpid()}")
        fresh.write_bytes(gzip.compress(chart_script().encode(), 6, mtime=0))
        fresh.replace(cache_file)
    headers = (
        (b"content-encoding", b"gzip"),
        (b"cache-control", b"public, max-age=86400"),
    )
    return LiveFile(_SCRIPT, cache_file.read_bytes(), headers)


def data_file(history: Path, query: str) -> LiveFile:
    """Return the seconds since the number in the query, and the totals.

    Args:
        history: File of the recorder.
        query: `since=NUMBER`; without it, the whole history.

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
    return LiveFile(b"application/json", body, ((b"cache-control", b"no-store"),))


def _read(name: str) -> bytes:
    return files("headway.observability.live").joinpath("assets", name).read_bytes()
