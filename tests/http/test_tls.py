"""What TLS is made of, and clients that must show a certificate."""

import contextlib
import ssl
import subprocess
from pathlib import Path

import pytest

from headway.config.schema import ApiServerConfig
from headway.errors import ConfigError
from headway.http.server import server_context
from tests.http.edge import connected, on_both_loops
from tests.http.test_protocol import CERTIFICATES, get

CERTIFICATE = str(CERTIFICATES / "localhost.pem")
KEY = str(CERTIFICATES / "localhost.key")


@pytest.fixture(scope="module")
def locked_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a key that needs the password `open sesame`."""
    path = tmp_path_factory.mktemp("keys") / "locked.key"
    options = ["-aes256", "-passout", "pass:open sesame", "-out", str(path)]
    subprocess.run(
        ["openssl", "pkey", "-in", KEY, *options], check=True, capture_output=True
    )
    return str(path)


def test_without_a_certificate_there_is_none() -> None:
    assert server_context(ApiServerConfig()) is None


def test_a_key_with_a_password(locked_key: str) -> None:
    def settings(password: str | None) -> ApiServerConfig:
        return ApiServerConfig(
            ssl_certfile=CERTIFICATE,
            ssl_keyfile=locked_key,
            ssl_keyfile_password=password,
        )

    assert server_context(settings("open sesame")) is not None
    for wrong in (None, "guess"):  # no prompt on the terminal
        with pytest.raises(ConfigError, match="ssl_keyfile"):
            server_context(settings(wrong))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_used(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "some.pem"
    if content is not None:
        file.write_text(content)
    settings = ApiServerConfig(
        ssl_certfile=CERTIFICATE, ssl_keyfile=KEY, ssl_ca_certs=str(file)
    )
    with pytest.raises(ConfigError, match="ssl_ca_certs"):
        server_context(settings)
    with pytest.raises(ConfigError, match="ssl_certfile"):
        server_context(ApiServerConfig(ssl_certfile=str(file)))


@on_both_loops
async def test_clients_without_a_certificate_are_refused() -> None:
    server_ssl = server_context(
        ApiServerConfig(
            ssl_certfile=CERTIFICATE, ssl_keyfile=KEY, ssl_ca_certs=CERTIFICATE
        )
    )
    known = ssl.create_default_context(cafile=CERTIFICATE)
    known.load_cert_chain(CERTIFICATE, KEY)
    known.set_alpn_protocols(["h2", "http/1.1"])
    async with connected(server_ssl=server_ssl, client_ssl=known) as (edge, client):
        chosen = client.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "http/1.1"
        client.send(get("/"))
        assert (await client.answer()).status == 200
        edge.ssl_context = ssl.create_default_context(cafile=CERTIFICATE)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            stranger = await edge.connect()
            stranger.send(get("/"))
            assert await stranger.rest() == b""
        assert len(edge.app.requests) == 1
