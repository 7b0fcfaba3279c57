"""The server that a load is for: its URL, whether it is there, and its documentation.

cli/load asks, so that what is wrong is said in a line before any load is made.
"""

import contextlib
import http.client
import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headway.errors import TrafficError

__all__ = ["api_document", "as_url", "check_listening"]

_TIMEOUT_S = 10.0
_DOCUMENTS = ("/docs.json", "/openapi.json")
"""Headway's own place, and the one that others have."""


def as_url(text: str) -> str | None:
    """Return the URL that a text means; None if it means a service, as module:svc."""
    if not text.startswith(("http://", "https://")):
        host, _, port = text.rpartition(":")
        if not (host and port.isdecimal()):
            return None
        text = f"http://{text}"
    return text.rstrip("/")


def check_listening(url: str) -> None:
    """Connect once.

    Raises:
        TrafficError: If nobody listens there.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with contextlib.closing(
            socket.create_connection((parts.hostname or "", port), _TIMEOUT_S)
        ):
            pass
    except (OSError, ValueError) as error:
        raise TrafficError(
            f"{url} cannot be reached: {error}; does a server listen there?"
        ) from error


def api_document(url: str) -> dict[str, Any]:
    """Return the OpenAPI document of a server.

    Raises:
        TrafficError: If it has none.
    """
    for path in _DOCUMENTS:
        with contextlib.suppress(
            urllib.error.HTTPError, msgspec.DecodeError, msgspec.ValidationError
        ):
            return _fetched(url + path)
    raise TrafficError(
        f"{url} has no OpenAPI document at {' or '.join(_DOCUMENTS)}: say what to send "
        "with --locustfile"
    )


def _fetched(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise TrafficError(f"{url} does not answer: {error}") from error
