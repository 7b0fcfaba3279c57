"""Tags: valid and malformed names and versions."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidTagError
from headway.models.record import Tag

ENDS = string.ascii_lowercase + string.digits
INNER = ENDS + "-._"


@st.composite
def parts(draw: st.DrawFn) -> str:
    ends = draw(st.text(ENDS, min_size=1, max_size=2))
    inner = draw(st.text(INNER, max_size=61)) if len(ends) == 2 else ""
    return ends[0] + inner + ends[1:]


@given(parts(), parts().filter(lambda version: version != "latest"))
def test_printed_tag_parses_to_the_same_tag(name: str, version: str) -> None:
    tag = Tag(name, version)
    assert Tag.parse(str(tag)) == tag
    assert Tag.parse(str(tag).upper()) == tag
    assert Tag.parse(name) == Tag.parse(f"{name}:latest") == Tag(name)
    assert Tag.parse(tag) is tag


@given(st.text(max_size=80))
def test_random_text_is_a_valid_tag_or_refused(text: str) -> None:
    try:
        tag = Tag.parse(text)
    except InvalidTagError:
        return
    for part in (tag.name, tag.version or "a"):
        assert 0 < len(part) <= 63
        assert set(part) <= set(INNER)
        assert {part[0], part[-1]} <= set(ENDS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("m:", id="empty version"),
        pytest.param(":v", id="empty name"),
        pytest.param("m:v:w", id="two colons"),
        pytest.param("..", id="parent"),
        pytest.param("../m", id="path"),
        pytest.param("m:../v", id="path in the version"),
        pytest.param("m/n", id="slash"),
        pytest.param("-m", id="dash first"),
        pytest.param("m.", id="dot last"),
        pytest.param("a b", id="space"),
        pytest.param("m\n", id="newline"),
        pytest.param("modèle", id="accent"),
        pytest.param("a" * 64, id="long name"),
        pytest.param("m:" + "a" * 64, id="long version"),
    ],
)
def test_malformed_tags_are_refused(text: str) -> None:
    with pytest.raises(InvalidTagError, match="a-z, 0-9"):
        Tag.parse(text)


def test_tag_must_be_text() -> None:
    with pytest.raises(InvalidTagError, match="7 is not a string"):
        Tag.parse(7)  # type: ignore[arg-type]  # the user's mistake


def test_version_cannot_be_named_latest() -> None:
    with pytest.raises(InvalidTagError, match="latest"):
        Tag("m", "latest")
