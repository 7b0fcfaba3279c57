"""One client's connection: its bytes become requests, answered in their order.

Made by http/server; calls `Application.handle` for each complete request, which answers
through `Request.respond`. The usual request arrives in one piece, with a head that was
seen before, and passes here only; http/request_reader reads all others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import cast

import msgspec

from headway.errors import HeadwayError, RequestError
from headway.http.head import NO_HEAD, Head, Headers
from headway.http.request import Request
from headway.http.request_reader import RequestReader, too_slow
from headway.http.server_state import JOIN_BYTES, LINGER_S, MAX_PIPELINED, ServerState

logger = logging.getLogger(__name__)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection, as the event loop, the server and the requests use it.

    Args:
        state: What the connections share.
    """

    __slots__ = (
        "_began_at",
        "_closing",
        "_handle",
        "_in_read_loop",
        "_is_ready",
        "_known_heads",
        "_lingers",
        "_now",
        "_on_free",
        "_prefixes",
        "_queue",
        "_reader",
        "_state",
        "_unsent_bytes",
        "has_answered",
        "last_active_at",
        "moved_here_at",
        "reading_closed",
        "reading_paused",
        "transport",
        "writing_paused",
    )

    def __init__(self, state: ServerState) -> None:
        # Shared, bound once for the fast path.
        self._state = state
        self._handle = state.application.handle
        self._known_heads = state.heads.known
        self._now = state.now
        self._prefixes = state.responses.prefixes  # {}: answers take the slow path
        # Per connection.
        self.transport: asyncio.Transport | None = None  # and once it is lost
        self._queue: deque[Request] = deque()  # not answered yet, oldest first
        self.last_active_at = 0.0  # bytes arrived, or a request was in progress
        self.has_answered = False  # at least once
        self.moved_here_at = 0.0  # from another process; 0: it did not
        self._on_free: Callable[[], None] | None = None  # set: it is to leave
        self.reading_paused = False
        self.reading_closed = False  # bytes that arrive are dropped
        self.writing_paused = False
        self._unsent_bytes = 0  # at the last sweep
        self._lingers = False  # closes once the client has, which may still be sending
        self._closing = False
        # Per request that is being read.
        self._is_ready = True  # no request is in progress, and one may be read
        self._in_read_loop = False  # which looks at the queue itself
        self._reader = RequestReader(state.config, state.heads)  # not the fast path's
        self._began_at: float | None = None  # of an incomplete request

    # --- the event loop calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.last_active_at = self._now()
        self._state.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Read requests; the usual case is exactly one with a head seen before."""
        now = self.last_active_at = self._now()
        if self._is_ready:
            end = data.find(b"\r\n\r\n") + 4
            head = self._known_heads.get(data[:end])
            if head is not None and end + head.length == len(data) and head.plain:
                self._is_ready = False
                self._begin(head, data[end:], now)
                return
        self._reader.feed(data)
        self._read(now)

    def eof_received(self) -> None:
        """Take the end of input as a disconnect: unanswered work is dropped.

        A client that stops in the middle of a request gets an error. The transport
        closes itself after that.
        """
        if not self._queue and not self.reading_closed and self._reader.has_partial:
            self._refuse(RequestError("The request ends before it is complete."))
        self._lose_requests()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the handlers of unanswered requests stop."""
        self.transport = None
        self.reading_closed = self._closing = True
        self._is_ready = False
        self._reader.drop()
        self._state.connections.discard(self)
        self._lose_requests()
        self._state.on_close()

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not take its answers."""
        self.writing_paused = True
        self._is_ready = False
        self._unsent_bytes = 0
        self._pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self.writing_paused = False
        if self._queue and self._queue[0].stream is not None:
            self._queue[0].stream.wake()
        self._resume_reading()

    # --- the server calls these

    def sweep(self, now: float) -> None:
        """Close or refuse what took too long; called about once a second."""
        config, transport = self._state.config, self.transport
        assert transport is not None, "a lost connection is not swept"
        if self._closing or self.writing_paused:
            unsent = transport.get_write_buffer_size()
            if 0 < unsent < self._unsent_bytes:
                self.last_active_at = now  # it is slow, but it takes bytes
            self._unsent_bytes = unsent
            allowed_s = config.request_timeout_s if unsent else LINGER_S
            if now - self.last_active_at >= allowed_s and (self._closing or unsent):
                transport.abort()
        elif self._began_at is not None and not self.reading_closed:
            if now - self._began_at >= config.request_timeout_s:
                self._refuse(too_slow(config))
        elif self._queue:
            self.last_active_at = now
        else:
            allowed_s = config.keep_alive_timeout_s
            if self._state.responses.closing:  # a first request may be on its way
                allowed_s = 0.0 if self.has_answered else LINGER_S
            if now - self.last_active_at >= allowed_s:
                self._close()

    def abort(self) -> None:
        """Drop the connection with whatever it waits for."""
        if self.transport is not None:
            self.transport.abort()

    # --- http/balancer calls these

    def leave(self, on_free: Callable[[], None]) -> None:
        """Stop reading between two requests, then call `on_free`; `stay` undoes it."""
        self._on_free = on_free
        self._prefixes = {}  # the slow path of answers looks at _on_free
        self._get_ready()

    def stay(self) -> None:
        """Read on: no other process has the connection."""
        self._on_free = None
        self._prefixes = self._state.responses.prefixes
        self._resume_reading()

    # --- reading

    def _begin(self, head: Head, body: bytes, now: float) -> None:
        """Pass a complete request to the application."""
        request = Request(self, head, head.method, head.path, body, now)
        self._queue.append(request)
        try:
            self._handle(request)
        except Exception:  # the client gets its answer
            logger.exception("the application raised while it took a request")
            error = HeadwayError("The server failed; the log says why.")
            request.respond(*self._state.application.reject(error, request))

    def _read(self, now: float) -> None:
        """Read all complete requests."""
        reader = self._reader
        self._in_read_loop = True
        try:
            while reader.has_partial and not self.reading_closed:
                request = None if self._must_pause() else reader.next_request()
                if request is None:
                    break
                self._began_at = None
                self.reading_closed = not request[0].keep_alive
                self._begin(*request, now)
        except RequestError as error:
            self._refuse(error)
        self._in_read_loop = False
        if self.reading_closed:
            self._is_ready = False
            self._lingers = reader.drop() or self._lingers
            if not self._queue:
                self._close()
            return
        if reader.awaits_continue:
            if self._queue:
                self._pause_reading()  # it must not overtake the answers before it
            else:
                reader.awaits_continue = False
                self.write(_CONTINUE)
        if not reader.has_partial or self.reading_paused:
            self._began_at = None
        elif self._began_at is None:
            self._began_at = now
        self._get_ready()

    def _get_ready(self) -> None:
        """Take the fast path again once nothing is in progress, or leave if due."""
        self._is_ready = not (
            self._queue or self.reading_paused or self._reader.has_partial
        )
        on_free = self._on_free
        if on_free is not None and self._is_ready:
            self._on_free = None
            self._is_ready = False
            self._pause_reading()
            on_free()

    def _must_pause(self) -> bool:
        """Pause reading if enough of this client's requests are unanswered."""
        pauses = (
            self.writing_paused
            or len(self._queue) >= MAX_PIPELINED
            or sum(len(request.body) for request in self._queue)
            > self._state.config.max_body_bytes
        )
        if pauses:
            self._pause_reading()
        return pauses

    def _pause_reading(self) -> None:
        transport = self.transport
        if not self.reading_paused and transport and not transport.is_closing():
            self.reading_paused = True
            self._began_at = None
            transport.pause_reading()

    def _resume_reading(self) -> None:
        """Read on after a pause, first what had arrived before it."""
        if not self.reading_paused or self.writing_paused or self._in_read_loop:
            return
        if self.transport is not None and not self.transport.is_closing():
            self.reading_paused = False
            self.transport.resume_reading()
            self._read(self._now())

    def _refuse(self, error: RequestError) -> None:
        """Answer in its turn what cannot be a request, and read no further."""
        # Not plain: its answer says that the connection closes, and closes it.
        head = msgspec.structs.replace(self._reader.head or NO_HEAD, plain=False)
        self._reader.drop()
        self._began_at = None
        self.reading_closed = self._lingers = True
        self._is_ready = False
        request = Request(self, head, head.method, head.path, b"", self.last_active_at)
        self._queue.append(request)
        request.respond(*self._state.application.reject(error, request))

    def _lose_requests(self) -> None:
        queue = self._queue
        while queue:
            request = queue.popleft()
            if request.payload is None:
                try:
                    request.hang_up()
                except Exception:  # the other requests must be dropped too
                    logger.exception("a handler failed to take a disconnect")

    # --- answering

    def send_response(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> None:
        """Send the answer when its turn has come; `Request.respond` calls this."""
        queue = self._queue
        prefix = self._prefixes.get((status, content_type, headers))
        if (
            prefix is not None
            and request.head.plain
            and len(queue) == 1
            and not self._in_read_loop
            and not self.reading_paused
            and len(body) <= JOIN_BYTES
        ):
            queue.popleft()
            self.has_answered = True
            self._is_ready = not self._reader.has_partial
            self.transport.write(  # type: ignore[union-attr]  # queued: connected
                b"%b%d\r\n\r\n%b" % (prefix, len(body), body)
            )
            return
        request.payload = self._state.responses.render(
            status,
            content_type,
            body,
            headers,
            connection=self._connection_header(request),
            head_only=request.head.method == "HEAD",
        )
        if self.has_turn(request):
            self.flush()

    def _connection_header(self, request: Request) -> bytes | None:
        is_last = request is self._queue[-1]
        if self._state.responses.closing and is_last and not self._reader.has_partial:
            self.reading_closed = True
        if self.reading_closed and is_last:
            return b"close"
        return None if request.head.is_http_11 else b"keep-alive"

    def render_head(self, request: Request, status: int, headers: Headers) -> bytes:
        """Return the head of an answer in pieces, whose headers frame its body."""
        connection = self._connection_header(request)
        return self._state.responses.render_head(status, headers, connection)

    def has_turn(self, request: Request) -> bool:
        """Return whether all requests before this one are answered."""
        return bool(self._queue) and self._queue[0] is request

    def flush(self) -> None:
        """Send the answers whose turn has come."""
        queue = self._queue
        while queue and queue[0].payload is not None:
            for part in queue.popleft().payload or ():
                self.write(part)
        self.has_answered = True
        if queue and queue[0].stream is not None:
            queue[0].stream.begin_turn()
        if self._in_read_loop:
            return  # which does the rest
        if self.reading_closed and not queue:
            self._close()
        elif self.reading_paused:
            self._resume_reading()
        else:
            self._get_ready()

    def close_after(self, request: Request) -> None:
        """Let the connection's end be the answer's: requests after it are lost."""
        self.reading_closed = True
        while self._queue[-1] is not request:
            lost = self._queue.pop()
            if lost.payload is None:
                lost.hang_up()

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def _close(self) -> None:
        """Close once all is sent; after a refusal, once the client has closed."""
        transport = self.transport
        if transport is None or self._closing:
            return
        self._closing = self.reading_closed = True
        self._is_ready = False
        self.last_active_at = self._now()
        self._unsent_bytes = 0
        if self._lingers and not self.reading_paused and not transport.is_closing():
            # Closing with unread bytes would reset the connection, and with it the
            # answer; so the client is left to close, or the sweep does it.
            if transport.can_write_eof():
                transport.write_eof()
        else:
            transport.close()
