"""The URL and the listening sockets of a server."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from headway.config.schema import ApiServerConfig
from headway.errors import PortTakenError, StartError
from headway.server.sockets import (
    bind_http,
    bind_unix,
    refuse_handshakes,
    url_of,
)


@pytest.mark.parametrize(
    ("host", "tls", "shown"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:{}"),
        ("127.0.0.1", True, "https://127.0.0.1:{}"),
        ("0.0.0.0", False, "http://localhost:{}"),
        ("localhost", False, "http://localhost:{}"),
    ],
)
def test_url_has_a_reachable_host(host: str, tls: bool, shown: str) -> None:
    config = ApiServerConfig(host=host, ssl_certfile="cert.pem" if tls else None)
    with bind_http(host, 0) as bound:
        port = bound.getsockname()[1]
        assert url_of(bound, config) == shown.format(port)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize(("host", "shown"), [("::1", "[::1]"), ("::", "localhost")])
def test_url_has_ipv6_in_brackets(host: str, shown: str) -> None:
    # The URL needs a port only, so that this runs where IPv6 has no address.
    with socket.socket(socket.AF_INET6) as bound:
        port = bound.getsockname()[1]
        assert (
            url_of(bound, ApiServerConfig(host=host, ssl_certfile="cert.pem"))
            == f"https://{shown}:{port}"
        )


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with SO_REUSEPORT"])
def test_a_port_that_is_taken_is_named(shared: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is taken"):
            bind_http("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        bind_http("192.0.2.1", 0)


def test_a_socket_that_refuses_handshakes_keeps_its_queue() -> None:
    with bind_http("127.0.0.1", 0) as listener, socket.socket() as late:
        listener.listen()
        listener.settimeout(5)
        with socket.create_connection(listener.getsockname()):
            refuse_handshakes(listener)
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
            listener.accept()[0].close()


def test_unix_socket_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with bind_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("name", ["x" * 200, "no/such/folder/s", "taken"])
def test_unix_socket_error_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(StartError, match="point TMPDIR to a folder with a short path"):
        bind_unix(str(tmp_path / name))


def test_open_file_limit_is_raised_to_the_hard_limit() -> None:
    lowered = """
import resource
from headway.server.sockets import allow_connections
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
allow_connections()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""
    subprocess.run([sys.executable, "-c", lowered], check=True)
