"""Text and Nothing."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import BadInputError, OutputError, UnsupportedMediaTypeError
from headway.io import Text
from headway.io.base import Nothing

_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(_text)
def test_text_round_trips(text: str) -> None:
    content_type, body = Text().encode(text, None)
    assert content_type == "text/plain; charset=utf-8"
    assert Text().decode(body, content_type) == text


@given(body=st.binary(), header=st.none() | st.text())
def test_random_bodies_raise_only_client_errors(
    body: bytes, header: str | None
) -> None:
    with suppress(BadInputError, UnsupportedMediaTypeError):
        assert Text().decode(body, header).encode() == body


def test_invalid_utf8_is_refused_with_its_position() -> None:
    with pytest.raises(BadInputError, match="invalid start byte at byte 2"):
        Text().decode(b"ab\xff", "text/plain")


def test_other_charsets_are_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="latin-1"):
        Text().decode(b"ab", "text/plain; charset=latin-1")


def test_output_accepts_strings_and_scalars_only() -> None:
    assert Text().encode(np.str_("a"), None)[1] == b"a"
    assert Text().encode(np.float64(0.5), None)[1] == b"0.5"
    with pytest.raises(OutputError, match="is a list"):
        Text().encode(["a"], None)
    with pytest.raises(OutputError, match="at character 1"):
        Text().encode("a\ud800", None)


def test_sample_is_the_documented_example() -> None:
    content = Text.from_sample("good film").openapi_content()
    assert content == {
        "text/plain": {"schema": {"type": "string"}, "example": "good film"}
    }
    assert "example" not in Text().openapi_content()["text/plain"]


def test_nothing_descriptor_ignores_the_body() -> None:
    nothing = Nothing()
    nothing.decode(b"\xff", "image/png")
    assert nothing.openapi_content() == {}
    assert nothing.openapi_components() == {}
    assert nothing.encode(None, None)[1] == b""
    with pytest.raises(OutputError, match="of type int"):
        nothing.encode(1, None)
