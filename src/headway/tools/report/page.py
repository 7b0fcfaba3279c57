"""Makes a report one HTML file, which needs nothing else to be looked at.

The commands that measure call it, with what document describes.
"""

import base64
import contextlib
import hashlib
import html
import os
import re
from importlib.resources import files
from pathlib import Path

import msgspec

from headway.errors import TrafficError
from headway.observability.charts import chart_script
from headway.observability.live.page import asset_file, has_charts
from headway.tools.report.document import Report
from headway.tools.report.sections import contents, facts, problems, sections

__all__ = ["check_place", "render", "write_report"]

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_NO_CHARTS = """<p class="notice" role="note">There are no charts, as plotly was not
installed: <code>pip install 'headway[charts]'</code>. The figures are all here.</p>"""
_NO_SCRIPTS = """<noscript><p class="notice">The charts need JavaScript. Their data are
in the tables below them.</p></noscript>"""
# Nothing is loaded from anywhere, and only these scripts run, whatever a text says. The
# chart library sets styles of elements, which is what 'unsafe-inline' is for.
_POLICY = (
    "default-src 'none'; script-src {}; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def check_place(path: Path) -> None:
    """See that a report may be written there, before anything is measured for it.

    Raises:
        TrafficError: If not.
    """
    folder = path.parent
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise TrafficError(
            f"{path}: the report cannot be written there: name a file in a folder "
            "that is there and may be written to"
        )


def write_report(report: Report, path: Path) -> None:
    """Write a report, whole or not at all.

    Raises:
        TrafficError: If it cannot be written.
    """
    fresh = path.parent / f".{path.name}.{os.getpid()}"
    try:
        fresh.write_bytes(render(report))
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it may be its folder that is none
            fresh.unlink()
        raise TrafficError(f"{path}: cannot be written: {error.strerror}") from error


def render(report: Report) -> bytes:
    """Return the file's content. Without plotly, it has tables and no charts."""
    is_drawn = has_charts()
    library = _inline(chart_script()) if is_drawn else ""
    script = _inline(_asset("theme.js") + _own("report.js"))
    charts = [chart for section in report.sections for chart in section.charts]
    parts = {
        "policy": _policy(library, script),
        "title": html.escape(report.title),
        "style": _asset("page.css") + _own("report.css"),
        "summary": html.escape(report.summary),
        "problems": problems(report.problems),
        "contents": contents(report.sections),
        "notice": _NO_SCRIPTS if is_drawn else _NO_CHARTS,
        "sections": sections(report.sections, is_drawn=is_drawn),
        "facts": facts(report.facts),
        "charts": _json(charts),
        "data": _json(report.data),
        "library": library,
        "script": script,
    }
    # In one pass: what a text says in braces is no place.
    text = _PLACE.sub(lambda found: parts[found[1]], _own("report.html"))
    return text.encode("utf-8", "replace")


def _policy(*scripts: str) -> str:
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return _POLICY.format(
        " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    )


def _inline(script: str) -> str:
    """Return a script as the browser reads it, where it cannot end its element."""
    lines = script.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/script|!--)", r"\\x3c", lines, flags=re.IGNORECASE)


def _json(value: object) -> str:
    """Return JSON that stands in a script element: no sign in it means HTML."""
    text = msgspec.json.encode(value).decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _asset(name: str) -> str:
    return asset_file(name).body.decode()


def _own(name: str) -> str:
    folder = files("headway.tools.report")
    return folder.joinpath("assets", name).read_text(encoding="utf-8")
