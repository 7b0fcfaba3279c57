"""One line for each record, with time, level and process; tracebacks are kept."""

import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.core.log import REQUEST_ID, configure


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Leave the root logger to pytest as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def fail() -> None:
    raise ValueError("first\nsecond")


def test_text_line() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    logging.getLogger("headway.x").info("answered %d in %s", 3, "time")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO api-0 answered 3 in time\n",
        stream.getvalue(),
    )


def test_traceback_follows_its_line() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("x").exception("model failed", stack_info=True)
    first, second, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR api-0 model failed")
    assert second == "Traceback (most recent call last):"
    assert "ValueError: first" in rest
    assert any("Stack (most recent call last)" in line for line in rest)


def test_message_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    logging.getLogger("x").warning("path %s", "/a\r\n2026-01-01 INFO api-0 \x1b[31mé")
    assert stream.getvalue().endswith("path /a\\r\\n2026-01-01 INFO api-0 \\x1b[31mé\n")
    assert stream.getvalue().count("\n") == 1


def test_json_has_a_key_for_each_field() -> None:
    stream = io.StringIO()
    configure("runner-iris-0", format="json", stream=stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("headway.y").exception(
            "a\nb", extra={"error_id": "e1", "rows": 5, "odd": {1, "x"}, "of": fail}
        )
    assert stream.getvalue().count("\n") == 1
    fields = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields["time"])
    assert fields["level"] == "ERROR"
    assert fields["process"] == "runner-iris-0"
    assert fields["logger"] == "headway.y"
    assert fields["message"] == "a\nb"
    assert fields["error_id"] == "e1"
    assert fields["rows"] == 5
    assert fields["traceback"].endswith("ValueError: first\nsecond")
    assert "taskName" not in fields


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="lone-surrogate"),
        pytest.param(2**80, id="large-integer"),
        pytest.param({object(): 1}, id="odd-key"),
    ],
)
def test_json_accepts_any_extra(value: object) -> None:
    stream = io.StringIO()
    configure("api-0", format="json", stream=stream)
    logging.getLogger("x").info("m", extra={"value": value})
    assert "value" in json.loads(stream.getvalue())


def test_lower_levels_are_not_written() -> None:
    stream = io.StringIO()
    configure("api-0", "warning", stream=stream)
    logging.getLogger("x").info("no")
    logging.getLogger("x").warning("yes")
    assert stream.getvalue().endswith("WARNING api-0 yes\n")
    assert stream.getvalue().count("\n") == 1


def test_configure_twice_replaces_the_handler() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("a", stream=first)
    configure("b", stream=second)
    logging.getLogger("x").info("m")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_warnings_are_logged() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure("api-0", stream=stream)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "DeprecationWarning: old thing" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(message=st.text(st.characters()), form=st.sampled_from(["text", "json"]))
def test_any_message_is_one_line(message: str, form: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
    configure("api-0", format="json" if form == "json" else "text", stream=stream)
    logging.getLogger("x").info("%s", message)
    stream.flush()
    written = raw.getvalue().decode()
    assert len(written.splitlines()) == 1 or form == "json"
    assert written.count("\n") == 1
    if form == "json":
        expected = message.encode("utf-8", "backslashreplace").decode()
        assert json.loads(written)["message"] == expected


def test_process_logs_to_standard_error() -> None:
    code = (
        "import logging, headway.core.log as log; log.configure('supervisor');"
        "logging.getLogger('x').error('bad')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == ""
    assert result.stderr.endswith(" ERROR supervisor bad\n")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_warning_is_one_line(kind: Any) -> None:
    stream = io.StringIO()
    configure("api-0", format=kind, stream=stream)
    warnings.showwarning(
        RuntimeWarning("coroutine 'infer' was never awaited"),
        RuntimeWarning,
        __file__,
        1,
    )
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\\n" not in text
    assert "was never awaited" in text


@pytest.mark.parametrize("kind", ["text", "json"])
def test_line_shows_the_request_id(kind: Any) -> None:
    stream = io.StringIO()
    configure("api-0", format=kind, stream=stream)
    log = logging.getLogger("x")
    token = REQUEST_ID.set("from-context")
    try:
        log.info("one")
        log.info("two", extra={"request_id": "its own"})
        log.info("three", extra={"request_id": ""})
    finally:
        REQUEST_ID.reset(token)
    log.info("four")
    lines = stream.getvalue().splitlines()
    if kind == "text":
        endings = ["[from-context] one", "[its own] two", "api-0 three", "api-0 four"]
        assert all(line.endswith(end) for line, end in zip(lines, endings, strict=True))
    else:
        found = [json.loads(line).get("request_id") for line in lines]
        assert found == ["from-context", "its own", None, None]


def test_request_id_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    configure("api-0", stream=stream)
    logging.getLogger("x").info("m", extra={"request_id": "a\nb"})
    assert stream.getvalue().endswith(" [a\\nb] m\n")
    assert stream.getvalue().count("\n") == 1
