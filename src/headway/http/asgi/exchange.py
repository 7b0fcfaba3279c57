"""One request of an ASGI application: what it receives, and the answer that it sends.

http/asgi/bridge makes it. A whole answer goes through `Request.respond`; one in pieces
is framed here and written to the Connection, which wakes it to go on.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

from headway.http.connection import Connection
from headway.http.head import Headers
from headway.http.request import Answer, Request
from headway.http.server_state import BODILESS

AsgiMessage = MutableMapping[str, Any]

_OWN_HEADERS = frozenset(
    {b"date", b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
"""Of the server and its connection: an application's are left out."""


class AsgiExchange:
    """One request of an ASGI application, and its answer.

    An answer in pieces without a Content-Length is chunked; for an HTTP/1.0 client it
    ends with the connection.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._connection = cast("Connection", request.responder)
        self._has_body = True  # not yet received by the application
        self._start: tuple[int, Headers] | None = None
        self._is_answered = False
        self._over = asyncio.Event()
        # Of an answer in pieces.
        self._is_streaming = False
        self._is_bodiless = False
        self._is_chunked = False
        self._left: int | None = None  # of the Content-Length
        self._sent = 0
        self._unwritten = b""  # until it is the request's turn
        self._writable = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the client waits for an answer, or for the rest of it."""
        return not (self._is_answered or self.request.disconnected)

    def hang_up(self) -> None:
        """Let the application receive a disconnect; `Request.on_disconnect`."""
        self._over.set()
        self._writable.set()

    async def receive(self) -> AsgiMessage:
        """Return the body, which is complete, then the disconnect."""
        if self._has_body and self.is_open:
            self._has_body = False
            body = self.request.body
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: AsgiMessage) -> None:
        """Take a part of the answer, and wait while the client takes no more.

        Raises:
            OSError: The client is gone.
            RuntimeError: It is not the time for such a message.
            ValueError: A header holds a line break, or the body does not have the
                length that one says.
        """
        if self.request.disconnected:
            raise OSError("the client has hung up")
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            pairs = [
                (bytes(name).lower(), bytes(value))
                for name, value in message.get("headers", ())
            ]
            headers = tuple(pair for pair in pairs if pair[0] not in _OWN_HEADERS)
            self._start = message["status"], headers
        elif kind == "http.response.body" and self._start and not self._is_answered:
            body = bytes(message.get("body", b""))
            await self._send(*self._start, body, more=message.get("more_body", False))
        else:
            raise RuntimeError(f"an ASGI message {kind!r} out of its turn")

    async def _send(
        self, status: int, headers: Headers, body: bytes, *, more: bool
    ) -> None:
        request = self.request
        lengths = [value for name, value in headers if name == b"content-length"]
        # The Content-Length of an answer to HEAD is that of the omitted body.
        is_whole = not (more or self._is_streaming or (lengths and _is_head(request)))
        if is_whole:
            others = tuple(pair for pair in headers if pair[0] != b"content-length")
            request.respond(status, b"", body, others)
        else:
            if not self._is_streaming:
                self._begin(status, headers, lengths)
            self._unwritten += self._framed(body)
            if more:
                await self._write()
                return
            self._end(status)
        self._is_answered = True
        self._over.set()

    def fail(self, answer: Answer) -> None:
        """Answer with an error, or if it is too late for that, drop the connection."""
        if self._is_streaming:
            self._connection.abort()
        else:
            self.request.respond(*answer)

    # --- an answer in pieces; the connection calls begin_turn and wake

    def _begin(self, status: int, headers: Headers, lengths: list[bytes]) -> None:
        request, connection = self.request, self._connection
        if request.trace is not None:
            headers = request.trace.answer_headers(headers)
        self._is_bodiless = _is_head(request) or status in BODILESS
        if not self._is_bodiless:
            if lengths:
                self._left = int(lengths[0])
            elif request.head.is_http_11:
                self._is_chunked = True
                headers = (*headers, (b"transfer-encoding", b"chunked"))
            else:
                connection.close_after(request)
        self._unwritten = connection.render_head(request, status, headers)
        self._is_streaming = True
        request.responder = None
        request.stream = self

    async def _write(self) -> None:
        """Send a piece, and return once more may come, or the client is gone."""
        request, connection = self.request, self._connection
        if connection.has_turn(request):
            self.begin_turn()
        while not request.disconnected and (
            connection.writing_paused or not connection.has_turn(request)
        ):
            self._writable.clear()
            await self._writable.wait()

    def _end(self, status: int) -> None:
        if self._left:
            raise ValueError(f"the body is {self._left} bytes short of Content-Length")
        if self._is_chunked:
            self._unwritten += b"0\r\n\r\n"
        request = self.request
        request.stream = request.on_disconnect = None
        request.payload = (self._unwritten,)
        if self._connection.has_turn(request):
            self._connection.flush()
        if request.trace is not None and not request.disconnected:
            request.trace.finish(status, self._sent)

    def begin_turn(self) -> None:
        """Write what was kept, as all earlier requests are answered."""
        self._connection.write(self._unwritten)
        self._unwritten = b""
        self.wake()

    def wake(self) -> None:
        """Let the application go on: the client takes bytes again, or is gone."""
        self._writable.set()

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


def _is_head(request: Request) -> bool:
    return request.method == "HEAD"
