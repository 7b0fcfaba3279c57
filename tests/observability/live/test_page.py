"""The page's files load from this server only, and fit together."""

import gzip
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.observability.live.history import HistoryWriter
from headway.observability.live.page import (
    ASSETS,
    LiveFile,
    asset_file,
    chart_file,
    chart_script,
    data_file,
    has_charts,
    page_file,
)


class _Page(HTMLParser):
    def __init__(self, page: LiveFile) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.links.append(value or "")
            elif name == "id":
                self.ids.append(value or "")


def test_page_loads_its_own_files_only() -> None:
    page = _Page(page_file("credit", charts=True))
    loaded = {link for link in page.links if link.startswith("live/")}
    assert loaded == {
        *("live/plotly.js", "live/live.js"),
        *("live/page.css", "live/live.css"),
    }
    assert {"#now", "../", "../metrics", "data:,"} == set(page.links) - loaded
    assert len(page.ids) == len(set(page.ids))
    for name in ASSETS:
        text = asset_file(name).body.decode()
        assert "//" not in re.sub(r"^\s*// .*$", "", text, flags=re.MULTILINE)
    script = asset_file("live.js").body.decode()
    assert 'from "./charts.js"' in script
    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(page.ids)


@given(st.text())
def test_title_is_escaped(title: str) -> None:
    plain = _Page(page_file("plain", charts=True))
    assert _Page(page_file(title, charts=True)).tags == plain.tags


def test_content_security_policy_is_strict() -> None:
    headers = dict(page_file("credit", charts=True).headers)
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


def test_page_without_plotly_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert has_charts()
    assert b"headway[charts]" not in page_file("credit", charts=True).body
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "plotly", raising=False)
    assert not has_charts()
    page = page_file("credit", charts=False)
    assert b"pip install 'headway[charts]'" in page.body
    assert b"plotly.js" not in page.body


def test_chart_script_is_compressed_once(tmp_path: Path) -> None:
    cache = tmp_path / "charts.js.gz"
    first = chart_file(cache)
    assert dict(first.headers)[b"content-encoding"] == b"gzip"
    assert gzip.decompress(first.body).decode() == chart_script()
    cache.write_bytes(b"kept")
    assert chart_file(cache).body == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["charts.js.gz"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("since=1", [2, 3]),
        ("a=b&since=2&c", [3]),
        ("since=3", []),
        ("since=-1", [1, 2, 3]),
        ("since=" + "9" * 30, [1, 2, 3]),
        ("sincere=2", [1, 2, 3]),
    ],
)
def test_data_since_a_number(query: str, numbers: list[int], tmp_path: Path) -> None:
    writer = HistoryWriter(path=tmp_path / "history", run=2**62)
    writer.start()
    for number in (1, 2, 3):
        writer.write(number, b'{"number":%d}' % number, b'{"all":%d}' % number)
    writer.close()
    found = msgspec.json.decode(data_file(tmp_path / "history", query).body)
    # JavaScript's numbers do not hold all 64 bits.
    assert found["run"] == str(2**62)
    assert found["newest"] == 3
    assert [second["number"] for second in found["seconds"]] == numbers
    assert found["totals"] == ({"all": 3} if numbers else None)
