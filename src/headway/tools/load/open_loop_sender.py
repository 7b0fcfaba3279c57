"""Sends requests when they are due, and measures each from when it was.

headway.locust runs one for each open-loop user. At 5,000/s there are 200 us for a
request, of which Locust's statistics take 20: so there are bare file descriptors and an
epoll of its own, one greenlet for all requests, and answers are timed as they are read
and reported afterwards (scripts/bench open_loop_user).
"""

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from headway.tools.load.request import Request
from headway.tools.open_loop.message import address, answer_bytes, status_of

__all__ = ["Limits", "Sender", "Turns", "User"]

_TICK_S = 0.0002
"""The longest time for which all greenlets are held up, to be on time for a request."""
_NEAR_S = 0.002
"""Until a request is due in so much less, others may run: their timers are coarse."""
_CHECK_S = 0.1
"""How often it is seen whether the user is to stop, or an answer is overdue."""
_BURST = 256
"""Requests sent in one go, so that answers are not left unread meanwhile."""
_REPORTS = 8
"""Reported in one turn at least, once there are so many that it must not wait."""
_MANY = 1000
_UNREPORTED = 4000
"""Nothing more is sent while there are so many."""
_HANGING_S = 1.0
"""Who has waited for longer when the user is killed was not just under way."""
_CONNECT_S = 5.0
_READ_BYTES = 16384
_SETTLE_S = 0.2
"""Before the first request, for what else Locust does as a user comes."""
_NEVER = float("inf")


class Limits(msgspec.Struct, frozen=True):
    """What a sender may take."""

    connections: int
    """Opened before the first request."""
    max_connections: int
    """Up to which further ones are opened while all are busy."""
    timeout_s: float
    """From when a request was due."""


class Turns(NamedTuple):
    """How to wait where Locust has replaced the standard library's ways."""

    epoll: "Callable[[], select.epoll]"
    """Quoted, as gevent leaves none in the module."""
    select: Callable[..., object]
    """Holds up everything."""
    select_among_others: Callable[..., object]
    """Holds up this greenlet only."""
    let_others: Callable[[], None]


class User(Protocol):
    """Who a sender sends for."""

    def next_request(self) -> Request:
        """Return what is sent next."""

    def failure_of(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer; None: nothing."""

    def is_stopping(self) -> bool:
        """Return whether no more requests are to be sent."""

    def report(
        self, request: Request, began: float, took_s: float, length: int, failure: str
    ) -> None:
        """Take what became of a request; an empty failure is none."""


class _Sent(NamedTuple):
    due: float
    request: Request


class _Answer(NamedTuple):
    due: float
    request: Request
    at: float
    status: int
    body: bytes
    failure: str


class Sender:
    """Sends to one server until its user stops or the schedule ends.

    Args:
        origin: URL of the server.
        times: When requests are due, in seconds from `run`.
        limits: What it may take.
        user: What to send, and whom to tell.
        turns: How to wait.
    """

    def __init__(
        self,
        *,
        origin: str,
        times: Iterator[float],
        limits: Limits,
        user: User,
        turns: Turns,
    ) -> None:
        self._origin = origin
        self._address = address(origin)
        self._times = times
        self._limits = limits
        self._user = user
        self._turns = turns
        self._idle: list[int] = []
        self._sent: dict[int, _Sent] = {}
        """Descriptor of a connection -> the request that is under way on it."""
        self._unsent: dict[int, memoryview] = {}
        """... -> what the socket has not taken yet."""
        self._partial: dict[int, bytearray] = {}
        """... -> the beginning of its answer."""
        self._unreported: deque[_Answer] = deque()
        self._due = 0.0
        self._began = 0.0
        self._check_at = 0.0

    def run(self) -> None:
        """Send; returns once all that was sent is answered, or has failed."""
        with self._turns.epoll() as epoll:
            self._epoll = epoll
            self._connect_first()
            self._turns.select_among_others((), (), (), _SETTLE_S)
            self._began = time.monotonic()
            self._due = self._began
            self._advance()
            try:
                self._drive()
            finally:
                self._close()

    def _drive(self) -> None:
        while self._due < _NEVER or self._sent or self._unreported:
            now = time.monotonic()
            if now >= self._check_at:
                self._check(now)
            if len(self._unreported) < _UNREPORTED:
                self._send_due(now)
            self._wait()
            for connection, events in self._epoll.poll(0):
                if events & select.EPOLLOUT:
                    self._write_more(connection)
                else:
                    self._read(connection)
            self._report()

    def _advance(self) -> None:
        offset = next(self._times, None)
        self._due = _NEVER if offset is None else self._began + offset

    def _check(self, now: float) -> None:
        self._check_at = now + _CHECK_S
        if self._user.is_stopping():
            self._due = _NEVER
        too_old = now - self._limits.timeout_s
        overdue = [number for number, sent in self._sent.items() if sent.due < too_old]
        for connection in overdue:
            self._lose(connection, now, "no answer in time")

    def _wait(self) -> None:
        """Wait until the next request is due or an answer has come."""
        if self._unreported:
            self._turns.let_others()
            return
        left = self._due - time.monotonic()
        if left > _NEAR_S:
            # Such a wait ends up to a millisecond late.
            wait_s = min(left - _NEAR_S / 2, _CHECK_S)
            self._turns.select_among_others((self._epoll.fileno(),), (), (), wait_s)
            return
        self._turns.let_others()
        if left > 0:
            self._turns.select((self._epoll,), (), (), min(left, _TICK_S))

    def _send_due(self, now: float) -> None:
        for _ in range(_BURST):
            if self._due > now:
                return
            due = self._due
            if not self._idle and len(self._sent) >= self._limits.max_connections:
                if now - due < self._limits.timeout_s:
                    return  # it stays due, and the time that it waits counts
                self._advance()
                self._fail(_Sent(due, self._user.next_request()), now, "never sent")
                continue
            self._advance()
            sent = _Sent(due, self._user.next_request())
            connection = self._idle.pop() if self._idle else self._connect()
            self._sent[connection] = sent
            self._write(connection, memoryview(sent.request.bytes_for(self._origin)))

    def _connect_first(self) -> None:
        for _ in range(self._limits.connections):
            try:
                opened = socket.create_connection(self._address, _CONNECT_S)
            except OSError:
                return  # the first request will say so
            opened.setblocking(False)
            self._idle.append(self._register(opened))

    def _connect(self) -> int:
        """Begin to connect; the request goes out once that is done."""
        opened = socket.socket()
        opened.setblocking(False)
        opened.connect_ex(self._address)  # an error shows as an event, too
        return self._register(opened)

    def _register(self, opened: socket.socket) -> int:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = opened.detach()
        self._epoll.register(number, select.EPOLLIN)
        return number

    def _write(self, connection: int, data: memoryview) -> None:
        try:
            written = os.write(connection, data)
        except BlockingIOError:  # not connected yet, or the server reads slowly
            written = 0
        except OSError as error:
            self._lose(connection, time.monotonic(), _reason(error))
            return
        if written == len(data):
            if self._unsent.pop(connection, None) is not None:
                self._epoll.modify(connection, select.EPOLLIN)
            return
        if connection not in self._unsent:
            self._epoll.modify(connection, select.EPOLLIN | select.EPOLLOUT)
        self._unsent[connection] = data[written:]

    def _write_more(self, connection: int) -> None:
        data = self._unsent.get(connection)
        if data is not None:
            self._write(connection, data)

    def _read(self, connection: int) -> None:
        try:
            data: bytes | bytearray = os.read(connection, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, time.monotonic(), _reason(error))
            return
        at = time.monotonic()
        sent = self._sent.get(connection)
        if not data or sent is None:
            self._lose(connection, at, "the connection was closed before the answer")
            return
        partial = self._partial.get(connection)
        if partial is not None:
            partial += data
            data = partial
        try:
            expected = answer_bytes(data)
        except ValueError:
            self._lose(connection, at, "the answer has no Content-Length")
            return
        if not expected or len(data) < expected:
            if partial is None:
                self._partial[connection] = bytearray(data)
            return
        if partial is not None:
            del self._partial[connection]
        del self._sent[connection]
        end = data.find(b"\r\n\r\n")
        body = bytes(data[end + 4 : expected])
        self._unreported.append(
            _Answer(sent.due, sent.request, at, status_of(data), body, "")
        )
        if len(data) > expected or _closes(data, end):
            os.close(connection)
        else:
            self._idle.append(connection)

    def _lose(self, connection: int, at: float, failure: str) -> None:
        os.close(connection)
        self._partial.pop(connection, None)
        self._unsent.pop(connection, None)
        sent = self._sent.pop(connection, None)
        if sent is None:
            self._idle.remove(connection)
        else:
            self._fail(sent, at, failure)

    def _fail(self, sent: _Sent, at: float, failure: str) -> None:
        self._unreported.append(_Answer(sent.due, sent.request, at, 0, b"", failure))

    def _report(self) -> None:
        """Tell of answers as long as no request is due; of some at least, if many."""
        least = _REPORTS if len(self._unreported) > _MANY else 0
        reported = 0
        while self._unreported and (reported < least or time.monotonic() < self._due):
            reported += 1
            self._tell(self._unreported.popleft())

    def _tell(self, answer: _Answer) -> None:
        failure = answer.failure
        if not failure:
            failure = self._user.failure_of(answer.status, answer.body) or ""
        self._user.report(
            answer.request,
            answer.due,
            answer.at - answer.due,
            len(answer.body),
            failure,
        )

    def _close(self) -> None:
        """Close all; who has waited for long says so, even if the user is killed."""
        now = time.monotonic()
        for sent in self._sent.values():
            if now - sent.due > _HANGING_S:
                self._fail(sent, now, "no answer until the end")
        for connection in (*self._idle, *self._sent):
            os.close(connection)
        while self._unreported:
            self._tell(self._unreported.popleft())


def _closes(data: bytes | bytearray, head_end: int) -> bool:
    """Return whether the server closes the connection after this answer."""
    # Hardly any head has these letters at all.
    if data.find(b"lose", 0, head_end) < 0:
        return False
    return b"\r\nconnection: close" in data[:head_end].lower()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
