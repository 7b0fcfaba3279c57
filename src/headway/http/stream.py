"""An answer that is sent in pieces: how they are framed, and waiting for the client.

Opened by `http.connection` for `http.asgi`; answers in one piece never come here.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from headway.http.request import Request, Responder
from headway.http.response import BODILESS, ResponseHeads

__all__ = ["AnswerStream", "Channel", "Pairs"]

Pairs = Sequence[tuple[bytes, bytes]]


class Channel(Responder, Protocol):
    """A responder that takes answers in pieces, like a connection."""

    def info(self, name: str) -> Any:
        """Return what the transport knows by that name; see `get_extra_info`."""
        ...

    def stream(self, request: Request, status: int, headers: Pairs) -> "AnswerStream":
        """Begin the answer of `request`, in place of `Request.respond`."""
        ...


class Line(Protocol):
    """What a stream asks of its connection."""

    def connection_header(self, request: Request) -> bytes | None:
        """Return what the head of the request's answer says about the connection."""
        ...

    def close_after(self, request: Request) -> None:
        """Let the connection's end be the answer's."""
        ...

    def takes_pieces_of(self, request: Request) -> bool:
        """Return whether it is the request's turn, and the client takes bytes."""
        ...

    def send_piece(self, request: Request, data: bytes) -> bool:
        """Send a piece if it is the request's turn, and return whether it was."""
        ...

    def send_last(self, request: Request, data: bytes) -> None:
        """Send the last piece when it is the request's turn, and end it."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...


class AnswerStream:
    """The answer of one request, while it is sent.

    Without a Content-Length its body is chunked; an HTTP/1.0 client is told its end by
    that of the connection.

    Args:
        line: The connection.
        request: What is answered.
        status: Of the answer.
        headers: Names in lower case and values, checked already.
        responses: Renders the head.
    """

    __slots__ = (
        "_held",
        "_is_bodiless",
        "_is_chunked",
        "_left",
        "_line",
        "_request",
        "_sent",
        "_status",
        "_waiter",
    )

    def __init__(
        self,
        *,
        line: Line,
        request: Request,
        status: int,
        headers: Pairs,
        responses: ResponseHeads,
    ) -> None:
        self._line = line
        self._request = request
        self._status = status
        if request.trace is not None:
            headers = request.trace.answer_headers(headers)
        self._sent = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_bodiless = request.method == "HEAD" or status in BODILESS
        self._is_chunked = False
        self._left: int | None = None  # of the Content-Length
        lengths = [value for name, value in headers if name == b"content-length"]
        if self._is_bodiless:
            pass
        elif lengths:
            self._left = int(lengths[0])
        elif request.head.is_http_11:
            self._is_chunked = True
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        else:
            line.close_after(request)
        connection = line.connection_header(request)
        self._held = responses.render_head(status, headers, connection=connection)

    def write(self, data: bytes) -> None:
        """Send a piece, or keep it until it is the request's turn; `drain` follows.

        Raises:
            ValueError: It is more than the Content-Length says.
        """
        self._held += self._framed(data)
        if self._line.send_piece(self._request, self._held):
            self._held = b""

    async def drain(self) -> None:
        """Return once the client has taken so much that more may come, or is gone."""
        while not (
            self._request.disconnected or self._line.takes_pieces_of(self._request)
        ):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def end(self, data: bytes = b"") -> None:
        """Send the last piece.

        Raises:
            ValueError: The body is not as long as the Content-Length says.
        """
        last = self._held + self._framed(data)
        if self._left:
            raise ValueError(f"the body is {self._left} bytes short of Content-Length")
        if self._is_chunked:
            last += b"0\r\n\r\n"
        self._request.stream = self._request.on_disconnect = None
        self._line.send_last(self._request, last)
        request = self._request
        if request.trace is not None and not request.disconnected:
            request.trace.finish(self._status, self._sent)

    def abort(self) -> None:
        """Drop the connection: there is no other way to say that the rest fails."""
        self._line.abort()

    def turn(self) -> None:
        """Send what was kept, as the request's turn has come; the connection's."""
        if self._line.send_piece(self._request, self._held):
            self._held = b""
        self.wake()

    def wake(self) -> None:
        """Let `drain` look again: the client has taken bytes, or is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _framed(self, data: bytes) -> bytes:
        if self._is_bodiless or not data:
            return b""
        self._sent += len(data)
        if self._left is not None:
            if len(data) > self._left:
                raise ValueError("the body is longer than its Content-Length")
            self._left -= len(data)
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data
