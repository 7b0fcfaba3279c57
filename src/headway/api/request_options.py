"""The terms of a request: by when it must be answered, and how urgent it is.

api/endpoint reads them from its headers before anything is done for the request;
api/runner_client finds them in the context of the function that calls a runner.
"""

import math
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from headway.errors import BadInputError
from headway.http.request import Request

__all__ = [
    "DEFAULT_PRIORITY",
    "PRIORITY_HEADER",
    "REQUEST_OPTIONS",
    "TIMEOUT_HEADER",
    "HeaderOptions",
    "RequestOptions",
    "asked_by",
    "priority_of",
    "timeout_of",
]

TIMEOUT_HEADER: Final = b"headway-timeout-ms"
PRIORITY_HEADER: Final = b"headway-priority"
DEFAULT_PRIORITY: Final = 5
_LOWEST_PRIORITY = 9
_LONGEST_MS = 24 * 3600 * 1000.0


class RequestOptions:
    """Of one request.

    Args:
        deadline: Monotonic seconds by which it must be answered.
        priority: Its class, 0 the most urgent.
    """

    __slots__ = ("__weakref__", "deadline", "first_call", "priority", "was_refused")

    journey: Any = None
    """What is noted of the request on its way; api/observed_task has one for each."""

    def __init__(self, deadline: float, priority: int = DEFAULT_PRIORITY) -> None:
        self.deadline = deadline
        self.priority = priority
        self.first_call: Any = None
        """The runner client that its function called first; None before that."""
        self.was_refused = False
        """Whether a runner client refused its call at once."""


REQUEST_OPTIONS: Final[ContextVar[RequestOptions]] = ContextVar("headway_terms")
"""Of the request being served."""


class HeaderOptions(msgspec.Struct, frozen=True):
    """What a request's head asks for; read once for all requests with the same head."""

    timeout_s: float
    priority: int
    content_type: str | None
    accept: str | None


def asked_by(request: Request) -> HeaderOptions:
    """Return what a request's head asks for.

    Raises:
        BadInputError: If a header of Headway's own is malformed.
    """
    # Remembered with the head, as reading it costs more than all other admission.
    asked: HeaderOptions | None = request.head.notes.get(HeaderOptions)
    if asked is None:
        asked = request.head.notes[HeaderOptions] = HeaderOptions(
            timeout_s=timeout_of(request),
            priority=priority_of(request),
            content_type=_text(request.header(b"content-type")),
            accept=_text(request.header(b"accept")),
        )
    return asked


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def timeout_of(request: Request) -> float:
    """Return the seconds in which a request asks to be answered; infinite if not.

    Raises:
        BadInputError: If the header is not a number of milliseconds above 0, up to a
            day.
    """
    value = request.header(TIMEOUT_HEADER)
    if value is None:
        return math.inf
    try:
        milliseconds = float(value) if value.strip(b"0123456789.") == b"" else -1.0
    except ValueError:
        milliseconds = -1.0
    if not 0 < milliseconds <= _LONGEST_MS:
        raise BadInputError(
            f"the header Headway-Timeout-Ms is {value.decode('latin-1')[:40]!r}: give "
            f"milliseconds, above 0 and up to {_LONGEST_MS:.0f}"
        )
    return milliseconds / 1000


def priority_of(request: Request) -> int:
    """Return the class of a request, 0 the most urgent.

    Raises:
        BadInputError: If the header is not a class.
    """
    value = request.header(PRIORITY_HEADER)
    if value is None:
        return DEFAULT_PRIORITY
    if len(value) != 1 or not value.isdigit():
        raise BadInputError(
            f"the header Headway-Priority is {value.decode('latin-1')[:40]!r}: give a "
            f"class from 0, the most urgent, to {_LOWEST_PRIORITY}; without it a "
            f"request is of class {DEFAULT_PRIORITY}"
        )
    return int(value)
