"""Content-Type and Accept headers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import UnsupportedMediaTypeError
from headway.io.base import negotiate, parse_media_type, require_utf8_text

_OFFERED = ("application/json", "application/x-npy")


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.model+json",
        "text/plain",
        "text/csv; header=present",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "",
    ],
)
def test_utf8_text_types_are_accepted(header: str) -> None:
    require_utf8_text(header, "application/json")


@pytest.mark.parametrize(
    "header",
    [
        "image/png",
        "multipart/form-data; boundary=x",
        "application/x-npy",
        "application/json; charset=utf-16",
        "text/plain; charset=latin-1",
    ],
)
def test_other_types_are_refused_by_name(header: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        require_utf8_text(header, "application/json")
    assert repr(header) in caught.value.message
    assert "application/json" in caught.value.message


def test_content_type_parameters_are_parsed() -> None:
    assert parse_media_type(' Text/Plain ; a=b; Charset = "UTF-8" ') == (
        "text/plain",
        "utf-8",
    )
    assert parse_media_type("text/plain; charset=") == ("text/plain", None)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "application/json"),
        ("application/x-npy", "application/x-npy"),
        ("application/json, application/x-npy", "application/json"),
        ("application/json;q=0.5, application/x-npy", "application/x-npy"),
        ("application/x-npy;q=0.1, */*", "application/json"),
        ("application/x-npy;q=nonsense", "application/json"),
        ("application/*;q=0.2, application/x-npy;q=0.3", "application/x-npy"),
        ("text/html", "application/json"),
    ],
)
def test_accept_negotiation_follows_quality_then_server_order(
    accept: str, chosen: str
) -> None:
    assert negotiate(accept, _OFFERED) == chosen


@given(st.text(max_size=60))
def test_random_headers_raise_only_client_errors(header: str) -> None:
    assert negotiate(header, _OFFERED) in _OFFERED
    parse_media_type(header)
    with suppress(UnsupportedMediaTypeError):
        require_utf8_text(header, "text/plain")
