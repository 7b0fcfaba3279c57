"""What traffic asks of a service: an API's path and a body that it takes.

The tuner, the walk and the load ask for it; the body is the sample of the OpenAPI
document.
"""

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headway.core.version import __version__
from headway.errors import TrafficError, WrongQuestionError
from headway.http.openapi import build_openapi
from headway.service.service import ServiceDefinition

__all__ = [
    "Question",
    "ask",
    "check_answer",
    "question_in",
    "question_of",
    "questions_in",
]

_JSON = "application/json"
_ASK_S = 30.0
_OK = 200


class Question(msgspec.Struct, frozen=True):
    """A request that is sent again and again."""

    route: str
    body: bytes
    content_type: str = _JSON


def question_of(
    service: ServiceDefinition, *, route: str | None = None, body: bytes | None = None
) -> Question:
    """Return what to ask.

    Args:
        service: Is asked.
        route: Path of the API; None: it has only one.
        body: To be sent; None: the sample in the API's documentation.

    Raises:
        TrafficError: If there is no such API, several, or no sample.
    """
    return question_in(
        build_openapi(service, __version__),
        f"service {service.name!r}",
        route=route,
        body=body,
    )


def question_in(
    document: Mapping[str, Any],
    owner: str,
    *,
    route: str | None = None,
    body: bytes | None = None,
) -> Question:
    """Return what to ask, as `question_of` does.

    Args:
        document: An OpenAPI document.
        owner: Whose it is, for messages.
        route: Path of the API; None: it has only one.
        body: To be sent; None: the sample in the API's documentation.

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
        return Question(route, body, next(iter(content), _JSON))
    question = _sampled(route, content, document)
    if question is None:
        raise TrafficError(
            f"{owner}: {route} has no sample in its documentation: give its "
            "descriptor one, as in JSON.from_sample(...), or a body with --body"
        )
    return question


def questions_in(document: Mapping[str, Any], owner: str) -> list[Question]:
    """Return a question for each API that has a sample.

    Raises:
        TrafficError: If none has.
    """
    paths = _posts(document)
    found = [
        question
        for route in paths
        if (question := _sampled(route, _content(paths[route]), document)) is not None
    ]
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


def _sampled(
    route: str, content: Mapping[str, Any], document: Mapping[str, Any]
) -> Question | None:
    if not content:
        return Question(route, b"")
    schemas = document.get("components", {}).get("schemas", {})
    for media_type, described in content.items():
        sample = _sample(described, schemas)
        if sample is not None:
            is_json = media_type == _JSON or not isinstance(sample, str)
            text = msgspec.json.encode(sample) if is_json else sample.encode()
            return Question(route, text, media_type)
    return None


def _sample(node: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return the example of a media type or a schema; None if there is none."""
    if "example" in node:
        return node["example"]
    if node.get("examples"):
        return node["examples"][0]
    if "$ref" in node:
        return _sample(schemas[node["$ref"].rpartition("/")[2]], schemas)
    return _sample(node["schema"], schemas) if "schema" in node else None


def ask(url: str, question: Question) -> tuple[int, str]:
    """Send one request and return the status and the body of its answer.

    Raises:
        WrongQuestionError: If it is not answered.
    """
    parts = urlsplit(url)
    kinds = {"https": http.client.HTTPSConnection}
    kind = kinds.get(parts.scheme, http.client.HTTPConnection)
    connection = kind(parts.netloc, timeout=_ASK_S)
    try:
        headers = {"Content-Type": question.content_type}
        path = parts.path + question.route
        connection.request("POST", path, question.body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise WrongQuestionError(
            f"POST {question.route} is not answered: {error or type(error).__name__}"
        ) from error
    finally:
        connection.close()


def check_answer(url: str, question: Question) -> None:
    """Send one request.

    Raises:
        WrongQuestionError: If it is not answered 200.
    """
    status, text = ask(url, question)
    if status != _OK:
        raise WrongQuestionError(
            f"POST {question.route} is answered {status}: {_message(text)}; --body "
            "gives a body that the service takes"
        )


def _message(text: str) -> str:
    """Return the message of an error of Headway's, else the text itself."""
    try:
        found: str = msgspec.json.decode(text)["error"]["message"]
    except (msgspec.DecodeError, TypeError, KeyError):
        return text[:200]
    return found
