"""HeaderOptions: a request's own deadline and priority."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.api.request_options import DEFAULT_PRIORITY, read_header_options
from headway.config.schema import ApiServerConfig
from headway.errors import BadInputError
from headway.http.head import HeadParser
from headway.http.request import Request


def request(header: bytes = b"") -> Request:
    lines = b"POST /x HTTP/1.1\r\nhost: a\r\n" + header + b"\r\n"
    head = HeadParser(ApiServerConfig()).parse(lines)
    return Request(None, head, "POST", "/x", b"", 0.0)


def test_without_headers_the_defaults_apply() -> None:
    assert read_header_options(request()).timeout_s == math.inf
    assert read_header_options(request()).priority == DEFAULT_PRIORITY


@given(st.floats(0.001, 86_400_000, allow_nan=False))
def test_a_timeout_is_given_in_milliseconds(milliseconds: float) -> None:
    header = b"Headway-Timeout-Ms: %.3f\r\n" % milliseconds
    assert read_header_options(request(header)).timeout_s == pytest.approx(
        milliseconds / 1000, abs=1e-6
    )


@pytest.mark.parametrize(
    "value",
    [b"-1", b"0", b"", b"soon", b"1e3", b"nan", b"inf", b"1.2.3", b"86400001", b"\xff"],
)
def test_an_invalid_timeout_names_the_header(value: bytes) -> None:
    with pytest.raises(BadInputError, match="Headway-Timeout-Ms"):
        read_header_options(request(b"headway-timeout-ms: " + value + b"\r\n"))


@given(st.integers(0, 9))
def test_a_priority_is_a_class(priority: int) -> None:
    options = read_header_options(request(b"headway-priority: %d\r\n" % priority))
    assert options.priority == priority


@pytest.mark.parametrize("value", [b"-1", b"10", b"", b"high", b"1.0", b"\xb2"])
def test_an_invalid_priority_names_the_header(value: bytes) -> None:
    with pytest.raises(BadInputError, match="Headway-Priority"):
        read_header_options(request(b"headway-priority: " + value + b"\r\n"))
