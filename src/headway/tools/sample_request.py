"""The requests that the tools send: the samples in a service's API documentation.

The tuner and the walk take them from a Service, `headway load` from the OpenAPI
document of a running server.
"""

import contextlib
import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headway.core.version import __version__
from headway.errors import SampleRequestError, TrafficError
from headway.http.openapi import build_openapi
from headway.service.service import ServiceDefinition

_JSON = "application/json"
_ANSWER_S = 30.0
_TIMEOUT_S = 10.0
_DOCUMENTS = ("/docs.json", "/openapi.json")
"""Headway's own path, and the path that other servers use."""
_OK = 200


class SampleRequest(msgspec.Struct, frozen=True):
    """A request that the tools send repeatedly."""

    route: str
    body: bytes
    content_type: str = _JSON


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
        TrafficError: If no server listens at the URL.
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
        TrafficError: If the server has none.
    """
    for path in _DOCUMENTS:
        with contextlib.suppress(
            urllib.error.HTTPError, msgspec.DecodeError, msgspec.ValidationError
        ):
            return _fetch(url + path)
    raise TrafficError(
        f"{url} has no OpenAPI document at {' or '.join(_DOCUMENTS)}: give the "
        "requests to send with --locustfile"
    )


def _fetch(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise TrafficError(f"{url} does not answer: {error}") from error


def sample_of_service(
    service: ServiceDefinition, *, route: str | None = None, body: bytes | None = None
) -> SampleRequest:
    """Return a sample request for a service.

    Args:
        service: The service.
        route: Path of the API; None if there is only one.
        body: Body to send; None: the sample in the API's documentation.

    Raises:
        TrafficError: If there is no such API, several, or no sample.
    """
    return sample_in_document(
        build_openapi(service, __version__),
        f"service {service.name!r}",
        route=route,
        body=body,
    )


def sample_in_document(
    document: Mapping[str, Any],
    owner: str,
    *,
    route: str | None = None,
    body: bytes | None = None,
) -> SampleRequest:
    """Return a sample request, as `sample_of_service` does.

    Args:
        document: An OpenAPI document.
        owner: Name of the service or server, for messages.
        route: Path of the API; None if there is only one.
        body: Body to send; None: the sample in the API's documentation.

    Raises:
        TrafficError: If there is no such API, several, or no sample.
    """
    paths = _posts(document)
    if route is None and len(paths) == 1:
        route = next(iter(paths))
    if route is None or route not in paths:
        wrong = "it has several APIs" if route is None else f"it has no {route}"
        raise TrafficError(
            f"{owner}: {wrong}; name one of {', '.join(paths) or 'none'} with --route"
        )
    content = _content(paths[route])
    if body is not None:
        return SampleRequest(route, body, next(iter(content), _JSON))
    found = _documented(route, content, document)
    if found is None:
        raise TrafficError(
            f"{owner}: {route} has no sample in its documentation: give its "
            "descriptor one, as in JSON.from_sample(...), or a body with --body"
        )
    return found


def samples_in_document(document: Mapping[str, Any], owner: str) -> list[SampleRequest]:
    """Return a sample request for each API that documents a sample.

    Raises:
        TrafficError: If no API does.
    """
    paths = _posts(document)
    documented = [_documented(path, _content(paths[path]), document) for path in paths]
    found = [sample for sample in documented if sample is not None]
    if not found:
        raise TrafficError(
            f"{owner}: none of its APIs ({', '.join(paths) or 'it has none'}) has a "
            "sample in its documentation: give its descriptor one, as in "
            "JSON.from_sample(...), or --route and --body, or a --locustfile"
        )
    return found


def _posts(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        path: item["post"]
        for path, item in document.get("paths", {}).items()
        if "post" in item
    }


def _content(post: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = post.get("requestBody", {}).get("content", {})
    return content


def _documented(
    route: str, content: Mapping[str, Any], document: Mapping[str, Any]
) -> SampleRequest | None:
    if not content:
        return SampleRequest(route, b"")
    schemas = document.get("components", {}).get("schemas", {})
    for media_type, described in content.items():
        example = _example(described, schemas)
        if example is not None:
            is_json = media_type == _JSON or not isinstance(example, str)
            text = msgspec.json.encode(example) if is_json else example.encode()
            return SampleRequest(route, text, media_type)
    return None


def _example(node: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return the example of a media type or a schema; None if there is none."""
    if "example" in node:
        return node["example"]
    if node.get("examples"):
        return node["examples"][0]
    if "$ref" in node:
        return _example(schemas[node["$ref"].rpartition("/")[2]], schemas)
    return _example(node["schema"], schemas) if "schema" in node else None


def send_sample(url: str, sample: SampleRequest) -> tuple[int, str]:
    """Send a request once; return the status code and the body of the answer.

    Raises:
        SampleRequestError: If there is no answer.
    """
    parts = urlsplit(url)
    kinds = {"https": http.client.HTTPSConnection}
    kind = kinds.get(parts.scheme, http.client.HTTPConnection)
    connection = kind(parts.netloc, timeout=_ANSWER_S)
    try:
        headers = {"Content-Type": sample.content_type}
        connection.request("POST", parts.path + sample.route, sample.body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise SampleRequestError(
            f"POST {sample.route} is not answered: {error or type(error).__name__}"
        ) from error
    finally:
        connection.close()


def check_sample(url: str, sample: SampleRequest) -> None:
    """Send a request once.

    Raises:
        SampleRequestError: If the answer is not 200.
    """
    status, text = send_sample(url, sample)
    if status != _OK:
        raise SampleRequestError(
            f"POST {sample.route} is answered {status}: {_message(text)}; give a body "
            "that the service accepts with --body"
        )


def _message(text: str) -> str:
    """Return the message in an error of Headway, otherwise the text itself."""
    try:
        found: str = msgspec.json.decode(text)["error"]["message"]
    except (msgspec.DecodeError, TypeError, KeyError):
        return text[:200]
    return found
