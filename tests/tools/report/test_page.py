"""A report is one self-contained file, whatever its texts are."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import TrafficError
from headway.tools.report import page
from headway.tools.report.document import Chart, Report, Section, Series, Table
from headway.tools.report.page import check_place, render, write_report

# Texts that could break HTML, JSON or the template, and any other text.
hostile = st.sampled_from(
    [
        "</script><script>",
        "<!--<script>",
        "-->",
        "]]>",
        "{{data}}",
        "'\"&",
        "\u2028",
        "\0",
    ]
)
texts = st.text(max_size=8) | hostile | st.tuples(st.text(), hostile).map("".join)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)


class Parsed(HTMLParser):
    """The elements and scripts of a page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: dict[str, str] = {}
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self._script: str | None = None
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [found[name] or "" for name in ("src", "href") if name in found]
        self.ids += [found["id"] or ""] if "id" in found else []
        if tag == "script":
            self._script = found.get("id") or found.get("type") or "library"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.texts.append(data)
        else:
            self.scripts[self._script] += data


def report(text: str = "text", data: object = None) -> Report:
    """Return a report with every kind of part, and one text everywhere."""
    chart = Chart(text, text, text, [Series(text, [1.0, 2.0], [3.0, None])], note=text)
    return Report(
        title=text,
        summary=text,
        facts=[(text, text)],
        sections=[
            Section(text, text, [chart], [Table(text, [text], [[text]], text)], text)
        ],
        problems=[text],
        data=data,
    )


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave plotly's 5 MB out: these tests parse many pages."""
    monkeypatch.setattr(page, "chart_script", lambda: "const Plotly = {};")


@pytest.mark.usefixtures("no_library")
@given(texts, json)
def test_texts_are_escaped(text: str, data: object) -> None:
    plain, other = Parsed(render(report())), Parsed(render(report(text, data)))
    # An empty text, or one of spaces, has no paragraph and no note.
    skipped = ("p", "pre", "code")
    assert [tag for tag in other.tags if tag not in skipped] == [
        tag for tag in plain.tags if tag not in skipped
    ]
    assert msgspec.json.decode(other.scripts["data"]) == data
    [chart] = msgspec.json.decode(other.scripts["charts"])
    assert chart["title"] == chart["series"][0]["name"] == text
    assert other.scripts["library"] == plain.scripts["library"]
    assert other.scripts["module"] == plain.scripts["module"]


def test_links_stay_in_the_page() -> None:
    content = render(report())
    parsed = Parsed(content)
    assert set(parsed.links) == {"data:,", "#main", "#section-0", "#facts"}
    anchors = {link[1:] for link in parsed.links if link.startswith("#")}
    assert anchors <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    script = parsed.scripts["module"]
    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(parsed.ids)
    assert parsed.tags.count("h1") == 1
    # The tables of the chart's data, of the section and of the facts.
    assert parsed.tags.count("table") == parsed.tags.count("caption") == 3
    assert b"{{" not in content.replace(parsed.scripts["library"].encode(), b"")


def test_infinite_values_are_gaps() -> None:
    series = Series("s", [1.0, 2.0], [float("inf"), float("nan")])
    parsed = Parsed(
        render(
            Report(
                title="",
                summary="",
                facts=[],
                sections=[Section("", charts=[Chart("", "", "", [series])])],
                data={"worst": float("inf")},
            )
        )
    )
    [chart] = msgspec.json.decode(parsed.scripts["charts"])
    assert chart["series"][0]["ys"] == [None, None]
    assert msgspec.json.decode(parsed.scripts["data"]) == {"worst": None}


def test_page_without_plotly_has_all_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "has_charts", lambda: False)
    content = render(report())
    assert len(content) < 30_000
    assert b"pip install 'headway[charts]'" in content
    assert b"data-chart" not in content
    assert b"<details open>" in content


def test_report_is_written_atomically(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_report(report(), file)
    assert file.read_bytes() == render(report())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(TrafficError, match=r"folder: cannot be written: Is a dir"):
        write_report(report(), folder)
    with pytest.raises(TrafficError, match=r"cannot be written: No such file"):
        write_report(report(), tmp_path / "none" / "report.html")
    with pytest.raises(TrafficError, match=r"cannot be written: Not a directory"):
        write_report(report(), file / "report.html")
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "folder"}


def test_place_is_checked_beforehand(tmp_path: Path) -> None:
    check_place(tmp_path / "report.html")
    for path in (tmp_path, tmp_path / "none" / "report.html"):
        with pytest.raises(TrafficError, match="cannot be written there: name a file"):
            check_place(path)
