"""One client's connection as the event loop sees it: bytes in, requests out.

Made by `http.server` per connection; calls `Application.handle` for each complete
request, which answers through `Request.respond`. Heads are parsed by httptools once
per distinct head (`http.head`), bodies are cut out here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import msgspec

from headway.errors import HeadwayError, RequestError, RequestTimeoutError
from headway.http.chunked import ChunkedBody, body_too_large
from headway.http.connection import Connection
from headway.http.head import CHUNKED, Head, HeadCache, HeadProbe
from headway.http.limits import HttpLimits
from headway.http.request import Application, Request
from headway.http.response import CONTINUE, ResponseHeads

__all__ = ["Edge", "HttpProtocol"]

logger = logging.getLogger(__name__)

_NO_HEAD = Head(
    method="GET",
    path="",
    query="",
    headers=(),
    fields={},
    length=0,
    is_http_11=True,
    keep_alive=False,
    plain=False,
    expects_continue=False,
)
"""Of a refusal that came before a head was read."""


class Edge(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What all connections of one server share."""

    application: Application
    limits: HttpLimits
    heads: HeadCache
    responses: ResponseHeads
    now: Callable[[], float]
    connections: "set[HttpProtocol]"
    on_change: Callable[[], None]
    """Called when a connection is gone."""


class HttpProtocol(Connection):
    """One connection: what the event loop, the server and the client's bytes do to it.

    Args:
        edge: What the connections share.
    """

    __slots__ = ("_edge", "_handle", "_known_heads")

    def __init__(self, edge: Edge) -> None:
        super().__init__(responses=edge.responses, now=edge.now)
        # Shared, bound once for the hot path.
        self._edge = edge
        self._handle = edge.application.handle
        self._known_heads = edge.heads.known

    # --- the loop calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._last = self._now()
        self._edge.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Read requests; the usual case is exactly one with a head seen before."""
        now = self._last = self._now()
        if self._clean:
            end = data.find(b"\r\n\r\n") + 4
            head = self._known_heads.get(data[:end])
            if head is not None and end + head.length == len(data) and head.plain:
                body = data[end:]
                request = Request(self, head, head.method, head.path, body, now)
                self._queue.append(request)
                self._clean = False
                try:
                    self._handle(request)
                except Exception:  # noqa: BLE001  # the client gets its answer
                    self._answer_failure(request)
                return
        self._buffer = self._buffer[self._at :] + data if self._buffer else data
        self._at = 0
        self._read(now)

    def eof_received(self) -> None:
        """Take the end of input as a hang-up: work that nobody reads is not done.

        A client that stops in the middle of a request is told so. The transport
        closes itself after that.
        """
        if not self._queue and not self._deaf and self._has_partial():
            self._refuse(RequestError("The request ends before it is complete."))
        self._lose_requests()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handlers of unanswered requests that nobody waits."""
        self._transport = None
        self._deaf = self._closing = True
        self._clean = False
        self._buffer = b""
        self._edge.connections.discard(self)
        self._lose_requests()
        self._edge.on_change()

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not take its answers."""
        self._write_paused = True
        self._clean = False
        self._unsent = 0
        self._stall()

    def resume_writing(self) -> None:
        """Read again."""
        self._write_paused = False
        if self._queue and self._queue[0].stream is not None:
            self._queue[0].stream.wake()
        self._continue()

    # --- the server calls these

    def sweep(self, now: float) -> None:
        """Close or refuse what took too long; called about once a second."""
        limits = self._edge.limits
        transport = self._transport
        if transport is None:
            return
        if self._closing or self._write_paused:
            unsent = transport.get_write_buffer_size()
            if 0 < unsent < self._unsent:
                self._last = now  # it is slow, but it takes bytes
            self._unsent = unsent
            patience = limits.request_timeout_s if unsent else limits.linger_s
            if now - self._last >= patience and (self._closing or unsent):
                transport.abort()
        elif self._began is not None and not self._deaf:
            if now - self._began >= limits.request_timeout_s:
                self._refuse(
                    RequestTimeoutError(
                        "The request was not complete after request_timeout_s = "
                        f"{limits.request_timeout_s:g} seconds."
                    )
                )
        elif self._queue:
            self._last = now
        elif now - self._last >= limits.keep_alive_timeout_s:
            self._close()
        elif self._edge.responses.closing:
            self.close_if_idle(now)

    def close_if_idle(self, now: float) -> None:
        """Close a connection without a request, for a drain.

        One that never sent a request was accepted for one that is on its way, so it
        has a moment more.
        """
        if self._queue or self._closing or self._has_partial():
            return
        if self._answered or now - self._last >= self._edge.limits.linger_s:
            self._close()

    # --- reading

    def _read(self, now: float) -> None:
        """Read all the requests that the buffer holds."""
        self._reading = True
        try:
            while not self._deaf and self._at < len(self._buffer):
                if self._head is None:
                    if self._must_stall():
                        break
                    if not self._read_head():
                        break
                if not self._read_body(now):
                    break
        except RequestError as error:
            self._refuse(error)
        self._reading = False
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Note whether a request is half read, once nothing more can be read."""
        if self._deaf:
            self._linger = self._linger or self._at < len(self._buffer)
            self._buffer = b""
            self._clean = False
            if not self._queue:
                self._close()
            return
        if self._at >= len(self._buffer):
            self._buffer = b""
        else:
            self._buffer = self._buffer[self._at :]
        self._at = 0
        partial = self._has_partial()
        if not partial or self._stalled:
            self._began = None
        elif self._began is None:
            self._began = now
        self._clean = not (partial or self._queue or self._stalled)
        if self._on_free is not None:
            self._leave_if_free()

    def _must_stall(self) -> bool:
        """Pause reading if enough of this client's requests wait already."""
        limits = self._edge.limits
        queue = self._queue
        if self._write_paused or (
            queue
            and (
                len(queue) >= limits.max_pipelined
                or sum(len(request.body) for request in queue) > limits.max_body_bytes
            )
        ):
            self._stall()
            return True
        return False

    def _read_head(self) -> bool:
        """Read a head if it is complete; raises RequestError."""
        if not self._skip_empty_lines():
            return False
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._at) + 4
        if end < 4:
            if self._probe is None:
                self._probe = HeadProbe(self._edge.limits)
            self._probe.feed(buffer[self._at :])
            return False
        head = self._edge.heads.parse(buffer[self._at : end])
        self._probe = None
        if head.expects_continue and head.length and not self._is_first(end):
            return False
        self._at = end
        self._head = head
        if head.length == CHUNKED:
            self._body = ChunkedBody(self._edge.limits)
        elif head.length > self._edge.limits.max_body_bytes:
            raise body_too_large(self._edge.limits)
        else:
            self._body = bytearray()
        if head.expects_continue and head.length and end == len(buffer):
            self._write(CONTINUE)
        return True

    def _skip_empty_lines(self) -> bool:
        """Ignore empty lines before a request, as RFC 9112, 2.2 asks."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n", self._at):
            self._at += 2
        if buffer.startswith((b"\r", b"\n"), self._at):
            if self._at + 1 == len(buffer) and buffer.endswith(b"\r"):
                return False
            raise RequestError("The request begins with a bare line break.")
        return self._at < len(buffer)

    def _is_first(self, end: int) -> bool:
        """Wait for the answers before a `100 Continue`, which would overtake them."""
        if self._queue and end == len(self._buffer):
            self._stall()
            return False
        return True

    def _read_body(self, now: float) -> bool:
        """Read the body of `_head`, hand the request on if complete."""
        head = self._head
        assert head is not None
        if isinstance(self._body, ChunkedBody):
            self._at = self._body.feed(self._buffer, self._at)
            if not self._body.complete:
                return False
            body = bytes(self._body.data)
        elif not self._body and len(self._buffer) - self._at >= head.length:
            body = self._buffer[self._at : self._at + head.length]
            self._at += head.length
        else:
            part = self._buffer[self._at : self._at + head.length - len(self._body)]
            self._body += part
            self._at += len(part)
            if len(self._body) < head.length:
                return False
            body = bytes(self._body)
        self._head = None
        self._began = None
        self._body = bytearray()
        if not head.keep_alive:
            self._deaf = True
        request = Request(self, head, head.method, head.path, body, now)
        self._queue.append(request)
        try:
            self._handle(request)
        except Exception:  # noqa: BLE001  # the client gets its answer
            self._answer_failure(request)
        return True

    def _refuse(self, error: RequestError) -> None:
        """Answer in its turn what cannot be a request, and read no further."""
        # Not plain: its answer says that the connection closes, and closes it.
        head = msgspec.structs.replace(self._head or _NO_HEAD, plain=False)
        self._head = None
        self._began = None
        self._deaf = self._linger = True
        self._clean = False
        request = Request(self, head, head.method, head.path, b"", self._last)
        self._queue.append(request)
        request.respond(*self._edge.application.reject(error, request))

    def _answer_failure(self, request: Request) -> None:
        logger.exception("the application raised while it took a request")
        error = HeadwayError("The server failed; the log says why.")
        request.respond(*self._edge.application.reject(error, request))

    def _lose_requests(self) -> None:
        queue = self._queue
        while queue:
            request = queue.popleft()
            if request.payload is None:
                try:
                    request.hang_up()
                except Exception:  # the others must hear it too
                    logger.exception("a handler failed to take a hang-up")
