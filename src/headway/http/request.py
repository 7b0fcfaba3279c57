"""One HTTP request on its way to the application, and how it is answered.

Made by `http.protocol`, handled by `api.handler`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from headway.errors import HeadwayError
from headway.http.head import Head, Headers

__all__ = ["Answer", "Application", "Request", "Responder"]

Answer = tuple[int, bytes, bytes, Headers]
"""Status, content type, body and further headers."""


class Responder(Protocol):
    """Where an answer goes: a connection, or a test's list."""

    def answer(
        self,
        request: "Request",
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Send the answer of `request` when its turn has come."""
        ...


# A Struct: made in C, three times as fast as a class with __slots__.
class Request(msgspec.Struct, eq=False):
    """A complete request; `respond` must be called once, now or later.

    Heads are shared between requests: neither `head` nor `headers` may be changed.
    """

    responder: Responder | None
    """The connection until the answer is given, then None."""

    head: Head
    """Request line and headers; the same object for the same bytes."""

    method: str
    """Upper case. The answer to HEAD is GET's: the protocol leaves the body out."""

    path: str
    """Percent-decoded, without the query."""

    body: bytes
    """The whole body, chunks already joined."""

    received_at: float
    """Monotonic seconds when the last byte came."""

    disconnected: bool = False
    """The client hung up before the answer."""

    on_disconnect: Callable[[], None] | None = None
    """Called once if the client hangs up before `respond`; set by the handler."""

    payload: tuple[bytes, ...] | None = None
    """The protocol's: bytes of an answer that waits for an earlier one."""

    journey: Any = None
    """The application's: what is noted of the request on its way, if anything is."""

    stream: Any = None
    """The protocol's: the `http.stream.AnswerStream` of an answer in pieces."""

    @property
    def query(self) -> str:
        """What follows the `?`, as it came."""
        return self.head.query

    @property
    def headers(self) -> Headers:
        """Names in lower case and values, in order."""
        return self.head.headers

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the header, repeated ones joined by a comma.

        Args:
            name: In lower case.
        """
        return self.head.fields.get(name)

    def respond(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers = (),
    ) -> None:
        """Answer; ignored if it has been answered or the client is gone.

        Raises:
            ValueError: A header holds a line break.
        """
        responder = self.responder
        if responder is not None:
            callback = self.on_disconnect
            self.responder = self.on_disconnect = None
            try:
                responder.answer(self, status, content_type, body, headers)
            except ValueError:
                # It is not answered yet, and has to be.
                self.responder, self.on_disconnect = responder, callback
                raise

    def hang_up(self) -> None:
        """Mark the client as gone; the protocol's."""
        self.disconnected = True
        self.responder = None
        callback, self.on_disconnect = self.on_disconnect, None
        if callback is not None:
            callback()


class Application(Protocol):
    """What the protocol serves."""

    def handle(self, request: Request) -> None:
        """Take a complete request; see to it that `request.respond` is called."""
        ...

    def reject(self, error: HeadwayError, request: Request) -> Answer:
        """Render an error of the protocol itself, which will be the request's answer.

        A request whose head could not be read has no path.
        """
        ...
