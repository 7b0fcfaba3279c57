"""Request ids: the client's if it is safe to log, otherwise a generated one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.config.schema import ApiServerConfig
from headway.core.clock import MonotonicClock
from headway.errors import RequestError
from headway.http.head import HeadParser
from headway.http.request import Request
from headway.observability.request_trace import Telemetry


def telemetry(id_prefix: str | None = "abc") -> Telemetry:
    return Telemetry(
        clock=MonotonicClock(),
        id_prefix=id_prefix,
        access_log=None,
        shows_timing=False,
    )


def request(name: bytes | None) -> Request:
    lines = b"GET / HTTP/1.1\r\nhost: a\r\n"
    if name is not None:
        lines += b"X-Request-Id: " + name + b"\r\n"
    head = HeadParser(ApiServerConfig()).parse(lines + b"\r\n")
    return Request(None, head, "GET", "/", b"", 0.0)


def test_each_request_gets_a_new_id() -> None:
    ids = telemetry()
    assert [ids.request_id(request(None)) for _ in range(17)][-2:] == [
        "abc-10",
        "abc-11",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"7f3a", id="short"),
        pytest.param(b"x" * 128, id="longest"),
        pytest.param(b"550e8400-e29b-41d4-a716-446655440000", id="uuid"),
        pytest.param(b"Root=1-67891233-abcdef012345678912345678", id="amazon"),
        pytest.param(b"a+b/c@d:e.f_g", id="signs"),
    ],
)
def test_a_safe_id_of_the_client_is_kept(name: bytes) -> None:
    assert telemetry().request_id(request(name)) == name.decode()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 129, id="too-long"),
        pytest.param(b'a"b', id="quote"),
        pytest.param(b"a b", id="space"),
        pytest.param(b"a\\b", id="backslash"),
        pytest.param(b"caf\xe9", id="not-ascii"),
        pytest.param(b"a\tb", id="tab"),
    ],
)
def test_any_other_id_is_replaced(name: bytes) -> None:
    assert telemetry().request_id(request(name)) == "abc-1"


@given(name=st.binary(max_size=200))
def test_no_id_needs_to_be_escaped(name: bytes) -> None:
    try:
        asked = request(name)
    except RequestError:
        return
    found = telemetry().request_id(asked)
    assert json.dumps(found) == f'"{found}"'
    assert 0 < len(found) <= 128
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found


def test_without_the_setting_requests_have_no_id() -> None:
    assert telemetry(None).request_id(request(b"7f3a")) == ""
