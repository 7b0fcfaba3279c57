"""Sends requests when they are due, inside Locust, and measures from the due time.

`headway.locust.OpenLoopUser` runs one sender for each user. At 5,000/s there are 200 us
for a request, and Locust's statistics take 20 of them. Therefore one greenlet serves
all requests over a ConnectionPool, and answers are timed when they are read and
reported afterwards (scripts/bench open_loop_user).
"""

import contextlib
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import msgspec

from headway.tools.open_loop.connections import (
    ConnectionPool,
    request_bytes,
    status_of,
)

_TICK_S = 0.0002
"""Longest time that all greenlets are blocked, to send a request on time."""
_NEAR_S = 0.002
"""Other greenlets may run until this time before the next request: gevent's timers are
coarse."""
_CHECK_S = 0.1
"""Time between two checks for a stopping user and for overdue answers."""
_BURST = 256
"""Maximum requests sent before answers are read again."""
_REPORTS = 8
"""Minimum answers reported per turn once more than `_MANY` wait."""
_MANY = 1000
_UNREPORTED = 4000
"""No more requests are sent while this many answers are unreported."""
_HANGING_S = 1.0
"""A request older than this when the user is killed counts as failed."""
_SETTLE_S = 0.2
"""Delay before the first request, for Locust's own work when a user is spawned."""
_NEVER = float("inf")


class OpenLoopRequest:
    """One HTTP request, encoded once; it can be sent any number of times.

    Locustfiles import it as `headway.locust.Request`.

    Args:
        path: Path below the host's URL, with its query.
        body: Bytes are sent as they are; anything else is sent as JSON.
        method: HTTP method.
        content_type: Content-Type of the body.
        headers: Further headers.
        name: Name in Locust's statistics; None: the path.
    """

    __slots__ = ("_bytes", "_headers", "_origin", "body", "method", "name", "path")

    def __init__(
        self,
        path: str,
        body: object = b"",
        *,
        method: str = "POST",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        self.path = path
        self.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.method = method
        self.name = name or path
        self._headers = {"Content-Type": content_type, **(headers or {})}
        self._origin = ""
        self._bytes = b""

    def bytes_for(self, origin: str) -> bytes:
        """Return the bytes sent to a server, given its URL."""
        if origin != self._origin:
            self._bytes = request_bytes(
                origin + self.path, self.body, self._headers, self.method
            )
            self._origin = origin
        return self._bytes


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Limits of a sender."""

    connections: int
    """Opened before the first request."""
    max_connections: int
    """Maximum; further connections are opened while all are busy."""
    timeout_s: float
    """From the due time of a request."""


class WaitFunctions(NamedTuple):
    """How to wait where Locust has replaced the functions of the standard library."""

    epoll: "Callable[[], select.epoll]"
    """Quoted: gevent removes the class from the module."""
    select: Callable[..., object]
    """Blocks all greenlets."""
    select_cooperatively: Callable[..., object]
    """Blocks this greenlet only."""
    yield_to_others: Callable[[], None]


class RequestSource(Protocol):
    """Supplies a sender with requests and takes their results; a Locust user."""

    def next_request(self) -> OpenLoopRequest:
        """Return the next request to send."""

    def failure_of(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer, or None."""

    def is_stopping(self) -> bool:
        """Return whether to send no more requests."""

    def report(
        self,
        request: OpenLoopRequest,
        began: float,
        took_s: float,
        length: int,
        failure: str,
    ) -> None:
        """Take the result of a request; `failure` is empty on success."""


class _Sent(NamedTuple):
    due: float
    request: OpenLoopRequest


class _Result(NamedTuple):
    sent: _Sent
    at: float
    status: int
    body: bytes
    failure: str


class OpenLoopSender:
    """Sends to one server until its source stops or the schedule ends.

    Args:
        origin: URL of the server.
        times: When requests are due, in seconds from `run`.
        limits: Connections and time-out.
        source: Supplies the requests and takes their results.
        waits: How to wait.
    """

    def __init__(
        self,
        *,
        origin: str,
        times: Iterator[float],
        limits: ConnectionLimits,
        source: RequestSource,
        waits: WaitFunctions,
    ) -> None:
        self._origin = origin
        self._times = times
        self._limits = limits
        self._source = source
        self._waits = waits
        self._unreported: deque[_Result] = deque()
        self._due = 0.0
        self._began = 0.0
        self._check_at = 0.0

    def run(self) -> None:
        """Send all requests; return once each is answered or has failed."""
        with self._waits.epoll() as epoll:
            self._epoll = epoll
            self._pool: ConnectionPool[_Sent] = ConnectionPool(
                url=self._origin,
                epoll=epoll,
                limit=self._limits.max_connections,
                on_answer=self._note_answer,
                on_loss=self._note_failure,
            )
            with contextlib.suppress(OSError):  # the first request reports it
                self._pool.open_idle(self._limits.connections)
            self._waits.select_cooperatively((), (), (), _SETTLE_S)
            self._began = time.monotonic()
            self._due = self._began
            self._advance()
            try:
                self._drive()
            finally:
                self._close()

    def _drive(self) -> None:
        pending = self._pool.pending
        while self._due < _NEVER or pending or self._unreported:
            now = time.monotonic()
            if now >= self._check_at:
                self._check(now)
            if len(self._unreported) < _UNREPORTED:
                self._send_due(now)
            self._wait()
            self._pool.poll()
            self._report()

    def _advance(self) -> None:
        offset = next(self._times, None)
        self._due = _NEVER if offset is None else self._began + offset

    def _check(self, now: float) -> None:
        self._check_at = now + _CHECK_S
        if self._source.is_stopping():
            self._due = _NEVER
        too_old = now - self._limits.timeout_s
        pending = self._pool.pending.items()
        for connection in [number for number, sent in pending if sent.due < too_old]:
            self._pool.lose(connection, now, "no answer in time")

    def _wait(self) -> None:
        """Wait until the next request is due or an answer arrives."""
        if self._unreported:
            self._waits.yield_to_others()
            return
        left = self._due - time.monotonic()
        if left > _NEAR_S:
            # This wait ends up to a millisecond late.
            wait_s = min(left - _NEAR_S / 2, _CHECK_S)
            self._waits.select_cooperatively((self._epoll.fileno(),), (), (), wait_s)
            return
        self._waits.yield_to_others()
        if left > 0:
            self._waits.select((self._epoll,), (), (), min(left, _TICK_S))

    def _send_due(self, now: float) -> None:
        for _ in range(_BURST):
            if self._due > now:
                return
            due = self._due
            is_full = self._pool.is_full
            if is_full and now - due < self._limits.timeout_s:
                return  # it stays due, and the time that it waits counts
            self._advance()
            sent = _Sent(due, self._source.next_request())
            if is_full:
                self._note_failure(sent, now, "never sent")
            else:
                self._pool.send(sent, sent.request.bytes_for(self._origin))

    def _note_answer(
        self, sent: _Sent, data: bytes | bytearray, length: int, at: float
    ) -> None:
        body = bytes(data[data.find(b"\r\n\r\n") + 4 : length])
        self._unreported.append(_Result(sent, at, status_of(data), body, ""))

    def _note_failure(self, sent: _Sent, at: float, failure: str) -> None:
        self._unreported.append(_Result(sent, at, 0, b"", failure))

    def _report(self) -> None:
        """Report results until the next request is due; a few in any case, if many."""
        least = _REPORTS if len(self._unreported) > _MANY else 0
        reported = 0
        while self._unreported and (reported < least or time.monotonic() < self._due):
            reported += 1
            self._report_one(self._unreported.popleft())

    def _report_one(self, result: _Result) -> None:
        failure = result.failure
        if not failure:
            failure = self._source.failure_of(result.status, result.body) or ""
        due, request = result.sent
        self._source.report(request, due, result.at - due, len(result.body), failure)

    def _close(self) -> None:
        """Close all; requests in flight for long are failures, even on a kill."""
        now = time.monotonic()
        for sent in self._pool.pending.values():
            if now - sent.due > _HANGING_S:
                self._note_failure(sent, now, "no answer until the end")
        self._pool.close()
        while self._unreported:
            self._report_one(self._unreported.popleft())
