"""One client's connection: its state, and answers sent in the order of the requests.

http.protocol is made of it, and adds how requests are read.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from headway.http.chunked import ChunkedBody
from headway.http.head import Head, Headers, HeadProbe
from headway.http.request import Request
from headway.http.response import ResponseHeads
from headway.http.stream import AnswerStream, Pairs

__all__ = ["Connection"]

_JOINED_BYTES = 65_536
"""Answers up to here are copied behind their head; larger ones are sent as two."""


class Connection(asyncio.Protocol):
    """The state of one connection, and the half of its work that answers.

    What has come and is no complete request yet is in `_buffer`, `_head` and `_body`;
    what is complete and unanswered is in `_queue`, oldest first.

    Args:
        responses: Heads of answers.
        now: The time.
    """

    __slots__ = (
        "_answered",
        "_at",
        "_began",
        "_body",
        "_buffer",
        "_clean",
        "_closing",
        "_deaf",
        "_head",
        "_last",
        "_linger",
        "_moved_at",
        "_now",
        "_on_free",
        "_prefixes",
        "_probe",
        "_queue",
        "_reading",
        "_responses",
        "_stalled",
        "_transport",
        "_unsent",
        "_write_paused",
    )

    def __init__(self, *, responses: ResponseHeads, now: Callable[[], float]) -> None:
        self._responses = responses
        self._prefixes = responses.prefixes
        self._now = now
        # Of the connection.
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Request] = deque()
        self._last = 0.0  # when something last came, or was last seen under way
        self._answered = False  # at least one answer was sent
        self._moved_at = -math.inf  # when it came from another process
        self._deaf = False  # what comes from now on is dropped
        self._linger = False  # ... and close only once the client has
        self._closing = False
        self._stalled = False  # reading is paused
        self._write_paused = False
        self._unsent = 0  # bytes that the client had not taken at the last sweep
        self._reading = False  # inside _read, which looks at the queue itself
        self._on_free: Callable[[], None] | None = None  # set: it is to leave
        # Of the request that is being read.
        self._clean = True  # nothing of it has come, and it may be read
        self._buffer = b""
        self._at = 0
        self._began: float | None = None
        self._probe: HeadProbe | None = None
        self._head: Head | None = None
        self._body: bytearray | ChunkedBody = bytearray()

    def _has_partial(self) -> bool:
        return self._head is not None or self._at < len(self._buffer)

    def _read(self, now: float) -> None:
        """Read all the requests that the buffer holds; the protocol's."""
        raise NotImplementedError

    # --- pausing

    def _stall(self) -> None:
        if not self._stalled and self._transport is not None:
            self._stalled = True
            self._began = None
            self._transport.pause_reading()

    def _continue(self) -> None:
        """Read on after a pause, first what had come before it."""
        if (
            not self._stalled
            or self._write_paused
            or self._reading
            or self._transport is None
            or self._transport.is_closing()
        ):
            return
        self._stalled = False
        self._transport.resume_reading()
        self._read(self._now())

    # --- moving to another process; http.neighbours calls these

    @property
    def last(self) -> float:
        """When something last came."""
        return self._last

    @property
    def descriptor(self) -> int | None:
        """The socket's; None while the client has not taken all answers, or is gone."""
        transport = self._transport
        if (
            transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            return None
        number: int = transport.get_extra_info("socket").fileno()
        return number

    def may_leave(self, now: float, stay_s: float) -> bool:
        """Return whether it has been answered here, and been here for `stay_s`."""
        return (
            self._answered
            and not self._deaf
            and not self._stalled
            and now - self._moved_at >= stay_s
        )

    def arrive(self) -> None:
        """Begin as a connection that was answered before, in another process."""
        self._answered = True
        self._moved_at = self._now()

    def leave(self, on_free: Callable[[], None]) -> None:
        """Stop reading between two requests and call `on_free`; `stay` undoes both.

        What the client sends from then on stays with the kernel.
        """
        self._on_free = on_free
        self._prefixes = {}  # so that answers take the way that looks at _on_free
        self._leave_if_free()

    def stay(self) -> None:
        """Read on: nobody else has the connection."""
        self._on_free = None
        self._prefixes = self._responses.prefixes
        self._continue()

    def _leave_if_free(self) -> None:
        """Leave if nothing of a request is here; after each answer, while it is due."""
        on_free = self._on_free
        if on_free is None or not self._clean:
            return
        if self._transport is not None and not self._transport.is_closing():
            self._on_free = None
            self._clean = False
            self._stall()
            on_free()

    # --- answering

    def answer(
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
            and not self._reading
            and not self._stalled
            and len(body) <= _JOINED_BYTES
        ):
            queue.popleft()
            self._answered = True
            self._clean = self._head is None and not self._buffer
            self._transport.write(  # type: ignore[union-attr]  # queued: connected
                b"%b%d\r\n\r\n%b" % (prefix, len(body), body)
            )
            return
        request.payload = self._render(request, status, content_type, body, headers)
        if queue and queue[0] is request:
            self._flush()

    def _render(
        self,
        request: Request,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers,
    ) -> tuple[bytes, ...]:
        first, second = self._responses.render(
            status,
            content_type,
            body,
            headers,
            connection=self.connection_header(request),
            head_only=request.head.method == "HEAD",
        )
        if len(second) <= _JOINED_BYTES:
            return (first + second,)
        return (first, second)

    def connection_header(self, request: Request) -> bytes | None:
        """Return what the head of the request's answer says about the connection."""
        is_last = request is self._queue[-1]
        if self._responses.closing and is_last and not self._has_partial():
            self._deaf = True
        if self._deaf and is_last:
            return b"close"
        return None if request.head.is_http_11 else b"keep-alive"

    def _flush(self) -> None:
        """Send the answers whose turn has come."""
        queue = self._queue
        parts: list[bytes] = []
        while queue and queue[0].payload is not None:
            parts.extend(queue.popleft().payload or ())
        self._answered = True
        if len(parts) > 1 and sum(map(len, parts)) <= _JOINED_BYTES:
            parts = [b"".join(parts)]
        for part in parts:
            self._write(part)
        if queue and queue[0].stream is not None:
            queue[0].stream.turn()
        if self._reading:
            return  # _settle follows
        if self._deaf and not queue:
            self._close()
        elif self._stalled:
            self._continue()
        else:
            self._clean = not (queue or self._has_partial())
            if self._on_free is not None:
                self._leave_if_free()

    # --- answers in pieces; the last five are for http.stream

    def info(self, name: str) -> Any:
        """Return what the transport knows by that name."""
        return self._transport and self._transport.get_extra_info(name)

    def stream(self, request: Request, status: int, headers: Pairs) -> AnswerStream:
        """Begin the answer of `request`, in place of `Request.respond`."""
        request.responder = None
        stream = request.stream = AnswerStream(
            line=self,
            request=request,
            status=status,
            headers=headers,
            responses=self._responses,
        )
        return stream

    def close_after(self, request: Request) -> None:
        """Let the connection's end be the answer's: what has come after it is lost."""
        self._deaf = True
        while self._queue[-1] is not request:
            lost = self._queue.pop()
            if lost.payload is None:
                lost.hang_up()

    def takes_pieces_of(self, request: Request) -> bool:
        """Return whether it is the request's turn, and the client takes bytes."""
        return self._has_turn(request) and not self._write_paused

    def send_piece(self, request: Request, data: bytes) -> bool:
        """Send a piece if it is the request's turn, and return whether it was."""
        has_turn = self._has_turn(request)
        if has_turn:
            self._write(data)
        return has_turn

    def send_last(self, request: Request, data: bytes) -> None:
        """Send the last piece when it is the request's turn, and end it."""
        request.payload = (data,)
        if self._has_turn(request):
            self._flush()

    def abort(self) -> None:
        """Drop the connection with whatever it waits for."""
        if self._transport is not None:
            self._transport.abort()

    def _has_turn(self, request: Request) -> bool:
        return bool(self._queue) and self._queue[0] is request

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def _close(self) -> None:
        """Close once all is sent; after a refusal, once the client has heard it."""
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = self._deaf = True
        self._clean = False
        self._last = self._now()
        self._unsent = 0
        if self._linger and not self._stalled and not transport.is_closing():
            # Closing with unread bytes would reset the connection, and with it the
            # answer; so the client is left to close, or the sweep does it.
            if transport.can_write_eof():
                transport.write_eof()
        else:
            transport.close()
