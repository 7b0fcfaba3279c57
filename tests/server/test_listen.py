"""The URL and the listening sockets of a server."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import PortTakenError, StartError
from headway.server.sockets import bind_http, bind_unix, url_of


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
    (bound,) = bind_http(host, 0, 1)
    with bound:
        port = bound.getsockname()[1]
        assert url_of(bound, host, tls=tls) == shown.format(port)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize(("host", "shown"), [("::1", "[::1]"), ("::", "localhost")])
def test_url_has_ipv6_in_brackets(host: str, shown: str) -> None:
    # The URL needs a port only, so that this runs where IPv6 has no address.
    with socket.socket(socket.AF_INET6) as bound:
        port = bound.getsockname()[1]
        assert url_of(bound, host, tls=True) == f"https://{shown}:{port}"


@pytest.mark.parametrize("count", [1, 4])
def test_the_sockets_of_a_server_share_its_port(count: int) -> None:
    sockets = bind_http("127.0.0.1", 0, count)
    try:
        assert len({one.getsockname() for one in sockets}) == 1
        for one in sockets:
            one.listen()
        with socket.create_connection(sockets[0].getsockname()):
            pass
    finally:
        for one in sockets:
            one.close()


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "another server's"])
def test_a_port_that_is_taken_is_named(count: int, shared: bool) -> None:
    taken = bind_http("127.0.0.1", 0, 2 if shared else 1)
    try:
        for one in taken:
            one.listen()
        port = taken[0].getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is taken"):
            bind_http("127.0.0.1", port, count)
    finally:
        for one in taken:
            one.close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        bind_http("192.0.2.1", 0, 1)


def test_a_port_lost_after_the_first_look_is_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bind = socket.socket.bind
    bound: list[object] = []

    class Racing(socket.socket):
        def bind(self, address: object) -> None:
            bound.append(address)
            if len(bound) == 3:  # the look, the first, and now the second
                raise OSError(98, "Address already in use")
            bind(self, address)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(socket, "socket", Racing)
    with pytest.raises(PortTakenError):
        bind_http("127.0.0.1", 0, 2)


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
