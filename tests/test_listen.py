"""Where a server says that it is."""

import socket

import pytest

from headway.listen import bind_http, url_of


@pytest.mark.parametrize(
    ("host", "tls", "shown"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:{}"),
        ("127.0.0.1", True, "https://127.0.0.1:{}"),
        ("0.0.0.0", False, "http://localhost:{}"),
        ("localhost", False, "http://localhost:{}"),
    ],
)
def test_the_url_is_one_to_click_on(host: str, tls: bool, shown: str) -> None:
    (bound,) = bind_http(host, 0, 1)
    with bound:
        port = bound.getsockname()[1]
        assert url_of(bound, host, tls=tls) == shown.format(port)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize(("host", "shown"), [("::1", "[::1]"), ("::", "localhost")])
def test_an_ipv6_address_is_in_brackets(host: str, shown: str) -> None:
    # The URL needs a port only, so that this runs where IPv6 has no address.
    with socket.socket(socket.AF_INET6) as bound:
        port = bound.getsockname()[1]
        assert url_of(bound, host, tls=True) == f"https://{shown}:{port}"
