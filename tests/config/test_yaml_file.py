"""Reading YAML: values, lines, variables, and a one-line reason if it is broken."""

import datetime
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.config.yaml_file import Entry, parse_text, read_yaml
from headway.errors import ConfigError


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Any:
    """Return what a file of this text holds, without the lines."""
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode())
    return plain(read_yaml(path, environ or {}))


def plain(value: Any) -> Any:
    """Drop the lines."""
    if isinstance(value, dict):
        return {key: plain(entry.value) for key, entry in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_entries_have_the_line_of_their_key(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# c\na:\n  b: 1\n\n  c: [1,\n    2]\n", encoding="utf-8")
    assert read_yaml(path, {}) == {
        "a": Entry({"b": Entry(1, 3), "c": Entry([1, 2], 5)}, 2)
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("null", {}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 1e3\nb: -2.5e-3\nc: 1.5", {"a": 1000.0, "b": -0.0025, "c": 1.5}),
        ("on: 1\n5: x", {"on": 1, "5": "x"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x",
         {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}}),
        ("a: &x {b: 1}\nc: &y {<<: *x, b: 2}\nd: *y",
         {"a": {"b": 1}, "c": {"b": 2}, "d": {"b": 2}}),
        ("a: 2026-01-02", {"a": datetime.date(2026, 1, 2)}),
    ],
)  # fmt: skip
def test_values(tmp_path: Path, text: str, expected: object) -> None:
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: ${PORT}", 4000),
        ("a: '${PORT}'", "4000"),
        ("a: x${PORT}y", "x4000y"),
        ("a: ${NONE:-5}", 5),
        ("a: ${NONE:-}", None),
        ("a: ${EMPTY:-5}", 5),
        ("a: ${PORT:-5}", 4000),
        ("a: ${LINES}", "x: 1\ny: 2"),
        ("a: ['${PORT}', \"${NONE:-null}\"]", ["4000", "null"]),
        ("a: $PORT costs $5", "$PORT costs $5"),
        ("a: $${PORT} $$", "${PORT} $"),
        ("a: 1 # ${NONE}", 1),
    ],
)
def test_variables_in_values(tmp_path: Path, text: str, expected: object) -> None:
    environ = {"PORT": "4000", "EMPTY": "", "LINES": "x: 1\ny: 2"}
    assert read(tmp_path, text, environ) == {"a": expected}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: c: 2", ":2: broken YAML: mapping values are not allowed here"),
        ("a: [1,\nb: 2", ":2: broken YAML: while parsing a flow sequence expected"),
        ("a:\n\t- 1", ":2: broken YAML: while scanning for the next token found"),
        ("a: *x", ":1: broken YAML: found undefined alias 'x'"),
        ("a: !!python/object:os.system {}", ":1: nested"),
        ("a: !thing 5", ":1: broken YAML: could not determine a constructor"),
        ("a: !!int x", ":1: 'x' is no value: invalid literal"),
        ("a: 1\n---\nb: 2", ":2: broken YAML: expected a single document"),
        ("a: \x01", ":1: broken YAML: special characters are not allowed"),
        ("a: 1\nb: 2\na: 3", ":3: 'a' is also on line 1"),
        ("- 1", ":1: the file must hold `key: value` lines"),
        ("5", ":1: the file must hold `key: value` lines"),
        ("? [1]\n: 2", ":1: a key must be a word"),
        ("a: &x {b: *x}", ":1: nested too deeply"),
        ("a: &x [*x]", ":1: nested too deeply"),
        ("a: " + "[" * 20_000, ": broken YAML: nested too deeply"),
        ("a: ${NONE}", ":1: ${NONE} is not set; set it or write ${NONE:-default}"),
        ("a: ${1}", ":1: write ${NAME}, ${NAME:-default}, or $${ for ${"),
        ("a: 2026-99-99", ":1: '2026-99-99' is no value"),
    ],
)
def test_message_on_broken_yaml(tmp_path: Path, text: str, reason: str) -> None:
    if "python/object" in text:
        assert read(tmp_path, text) == {"a": {}}  # a mapping is a mapping, no object
        return
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path / 'a.yaml'}{reason}")
    assert "\n" not in caught.value.message


def test_message_on_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path, {})
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_yaml(path, {})


# Text like 1e3 is a number here, as in YAML 1.2, which the writer does not know.
texts = st.text().filter(
    lambda text: not re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", text)
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | texts
)  # fmt: skip
documents = st.dictionaries(
    texts,
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def depth(value: object) -> int:
    """Return how many levels of lists and dicts a value has."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None)  # it reads a file
@given(document=documents, flow=st.booleans())
def test_reads_what_pyyaml_writes(
    document: dict[str, Any], flow: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=False)
    text = text.replace("$", "$$")
    if depth(document) > 8 or "<<" in text:
        return
    expected = yaml.safe_load(text.replace("$$", "$"))
    path = tmp_path_factory.getbasetemp() / "property.yaml"
    path.write_text(text, encoding="utf-8")
    read = read_yaml(path, {})
    assert {str(key) for key in read} == {key.replace("$", "$$") for key in expected}
    assert [plain(entry.value) for entry in read.values()] == [
        dollars(value) for value in expected.values()
    ]


def dollars(value: Any) -> Any:
    """Double the dollar signs of keys, which are read as they are."""
    if isinstance(value, dict):
        return {key.replace("$", "$$"): dollars(inner) for key, inner in value.items()}
    return [dollars(item) for item in value] if isinstance(value, list) else value


@given(text=st.text())
def test_parse_text_accepts_any_text(text: str) -> None:
    parse_text(text)


@settings(deadline=None)  # it reads a file
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    with suppress(ConfigError):
        read_yaml(path, {})
