"""The deadline and priority of a request: what its head asks for, what its calls get.

api/endpoint reads HeaderOptions before any work is done for the request; the function
that it starts runs with RequestOptions, where api/runner_client finds them.
"""

import math
from contextvars import ContextVar
from typing import Final

import msgspec

from headway.api.admission import QueueDelayEstimate
from headway.errors import BadInputError
from headway.http.request import Request
from headway.observability.request_trace import RequestTrace

DEFAULT_PRIORITY: Final = 5
_LOWEST_PRIORITY: Final = 9
_MAX_TIMEOUT_MS: Final = 24 * 3600 * 1000.0


class RequestOptions:
    """What the runner calls of one request inherit, and what became of them.

    Args:
        deadline: Monotonic seconds by which the request must be answered.
        priority: Its class, 0 the most urgent.

    Attributes:
        trace: Records its calls; None: nothing does.
        first_queue: Of the runner that its function called first; None until then.
        was_refused: Whether a call was refused because it would be late.
    """

    __slots__ = (
        "__weakref__",
        "deadline",
        "first_queue",
        "priority",
        "trace",
        "was_refused",
    )

    def __init__(self, deadline: float, priority: int = DEFAULT_PRIORITY) -> None:
        self.deadline = deadline
        self.priority = priority
        self.trace: RequestTrace | None = None
        self.first_queue: QueueDelayEstimate | None = None
        self.was_refused = False


REQUEST_OPTIONS: Final[ContextVar[RequestOptions]] = ContextVar("headway_options")
"""Of the request being served."""


class HeaderOptions(msgspec.Struct, frozen=True):
    """What a request's head asks for."""

    timeout_s: float
    priority: int
    content_type: str | None
    accept: str | None


def read_header_options(request: Request) -> HeaderOptions:
    """Return what a request's head asks for, and keep it with the head.

    Heads are shared by all requests with the same bytes: parsing them each time would
    cost more than all other admission.

    Raises:
        BadInputError: If a header of Headway's own is malformed.
    """
    options = request.head.notes[HeaderOptions] = HeaderOptions(
        timeout_s=_timeout_s(request.header(b"headway-timeout-ms")),
        priority=_priority(request.header(b"headway-priority")),
        content_type=_text(request.header(b"content-type")),
        accept=_text(request.header(b"accept")),
    )
    return options


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _timeout_s(value: bytes | None) -> float:
    if value is None:
        return math.inf
    try:
        milliseconds = float(value) if value.strip(b"0123456789.") == b"" else -1.0
    except ValueError:
        milliseconds = -1.0
    if not 0 < milliseconds <= _MAX_TIMEOUT_MS:
        raise BadInputError(
            f"the header Headway-Timeout-Ms is {value.decode('latin-1')[:40]!r}: give "
            f"milliseconds, above 0 and up to {_MAX_TIMEOUT_MS:.0f}"
        )
    return milliseconds / 1000


def _priority(value: bytes | None) -> int:
    if value is None:
        return DEFAULT_PRIORITY
    if len(value) != 1 or not value.isdigit():
        raise BadInputError(
            f"the header Headway-Priority is {value.decode('latin-1')[:40]!r}: give a "
            f"class from 0, the most urgent, to {_LOWEST_PRIORITY}; without it a "
            f"request is of class {DEFAULT_PRIORITY}"
        )
    return int(value)
