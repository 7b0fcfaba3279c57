"""An answer that is sent in pieces: how they are framed, and waiting for the client.

http.asgi.bridge opens it; other answers are sent by http.connection alone.
"""

import asyncio
from collections.abc import Sequence

from headway.http.connection import Connection
from headway.http.request import Request
from headway.http.server_state import BODILESS

__all__ = ["AnswerStream", "Pairs"]

Pairs = Sequence[tuple[bytes, bytes]]


class AnswerStream:
    """The answer of one request, in place of `Request.respond`.

    Without a Content-Length its body is chunked; for an HTTP/1.0 client it ends with
    the connection.

    Args:
        connection: The request's.
        request: What is answered.
        status: Of the answer.
        headers: Names in lower case and values, checked already.
    """

    __slots__ = (
        "_connection",
        "_held",
        "_is_bodiless",
        "_is_chunked",
        "_left",
        "_request",
        "_sent",
        "_status",
        "_waiter",
    )

    def __init__(
        self, connection: Connection, request: Request, status: int, headers: Pairs
    ) -> None:
        self._connection = connection
        self._request = request
        request.responder = None
        request.stream = self
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
            connection.close_after(request)
        self._held = connection.render_head(request, status, headers)

    def write(self, data: bytes) -> None:
        """Send a piece, or keep it until it is the request's turn; `drain` follows.

        Raises:
            ValueError: It is more than the Content-Length says.
        """
        self._held += self._framed(data)
        self._send_held()

    async def drain(self) -> None:
        """Return once the client has taken so much that more may come, or is gone."""
        connection, request = self._connection, self._request
        while not request.disconnected and (
            connection.writing_paused or not connection.has_turn(request)
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
        request = self._request
        request.stream = request.on_disconnect = None
        request.payload = (last,)
        if self._connection.has_turn(request):
            self._connection.flush()
        if request.trace is not None and not request.disconnected:
            request.trace.finish(self._status, self._sent)

    def abort(self) -> None:
        """Drop the connection: there is no other way to say that the rest fails."""
        self._connection.abort()

    def begin_turn(self) -> None:
        """Send what was kept, as all earlier requests are answered."""
        self._send_held()
        self.wake()

    def wake(self) -> None:
        """Let `drain` look again: the client has taken bytes, or is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _send_held(self) -> None:
        if self._connection.has_turn(self._request):
            self._connection.write(self._held)
            self._held = b""

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
