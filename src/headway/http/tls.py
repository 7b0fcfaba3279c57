"""The server's side of TLS, made of the files that the settings name.

assemble hands it to http.server.
"""

import ssl

from headway.config.schema import ApiServerConfig
from headway.errors import ConfigError

__all__ = ["server_context"]


def server_context(settings: ApiServerConfig) -> ssl.SSLContext | None:
    """Return what connections are secured by; None: they are not.

    Raises:
        ConfigError: If a certificate or a key cannot be used.
    """
    if settings.ssl_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A password that is needed and not given would be asked for on the terminal.
        context.load_cert_chain(
            settings.ssl_certfile,
            settings.ssl_keyfile,
            password=lambda: settings.ssl_keyfile_password or "",
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"api_server.ssl_certfile {settings.ssl_certfile!r} with ssl_keyfile "
            f"{settings.ssl_keyfile!r} cannot be used: {error}"
        ) from error
    if settings.ssl_ca_certs is not None:
        try:
            context.load_verify_locations(settings.ssl_ca_certs)
        except OSError as error:
            raise ConfigError(
                f"api_server.ssl_ca_certs {settings.ssl_ca_certs!r} cannot be used: "
                f"{error}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
