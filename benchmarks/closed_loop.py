"""Closed-loop load that checks the answer to each of its requests.

wrk uses less CPU, but cannot match answers to requests. poison uses it.
"""

import os
import select
import socket
import time
from collections.abc import Sequence

import msgspec

from headway.tools.open_loop.connections import address, answer_bytes, status_of

__all__ = ["CheckedRequest", "ClosedLoop", "Tally"]

_CONNECT_S = 10.0
_READ_BYTES = 4096


class CheckedRequest(msgspec.Struct, frozen=True):
    """A request and its expected answer."""

    request: bytes
    status: int
    body: bytes | None = None
    """None: any body."""

    def is_answered_by(self, answer: bytes) -> bool:
        """Return whether this is the right answer."""
        return status_of(answer) == self.status and (
            self.body is None or answer.endswith(b"\r\n\r\n" + self.body)
        )


class Tally(msgspec.Struct):
    """Results of one run."""

    right: int = 0
    wrong: int = 0
    """Answers with another status or another body."""
    lost: int = 0
    """Requests without an answer in time, or with a broken connection."""
    per_s: float = 0.0
    """Right answers per second."""


class ClosedLoop:
    """Sends requests in turn; each connection sends the next one after its answer.

    Args:
        url: URL of the server.
        requests: The requests.
        connections: Connections, each with one request in flight.
        grace_s: Time to wait for the last answers.
    """

    def __init__(
        self,
        url: str,
        requests: Sequence[CheckedRequest],
        *,
        connections: int,
        grace_s: float = 15.0,
    ) -> None:
        self._url = url
        self._requests = requests
        self._connections = connections
        self._grace_s = grace_s
        self._number = 0
        self._pending: dict[int, CheckedRequest] = {}
        self._partial: dict[int, bytes] = {}
        self._tally = Tally()

    def run(self, seconds: float) -> Tally:
        """Send for some seconds, wait for the last answers, and return the counts."""
        sockets = [
            socket.create_connection(address(self._url), timeout=_CONNECT_S)
            for _ in range(self._connections)
        ]
        with select.epoll() as epoll:
            for connection in sockets:
                connection.setblocking(False)
                epoll.register(connection, select.EPOLLIN)
            began = time.monotonic()
            for connection in sockets:
                self._ask(connection.fileno())
            while time.monotonic() < began + seconds and self._pending:
                self._pass(epoll, began + seconds, ask=True)
            self._tally.per_s = self._tally.right / (time.monotonic() - began)
            end = time.monotonic() + self._grace_s
            while time.monotonic() < end and self._pending:
                self._pass(epoll, end, ask=False)
        for connection in sockets:
            connection.close()
        self._tally.lost += len(self._pending)
        return self._tally

    def _pass(self, epoll: select.epoll, until: float, *, ask: bool) -> None:
        """Read the answers that have arrived, or wait for one."""
        for connection, _ in epoll.poll(max(until - time.monotonic(), 0.0)):
            if not self._receive(connection):
                epoll.unregister(connection)
            elif ask and connection not in self._pending:
                self._ask(connection)

    def _ask(self, connection: int) -> None:
        request = self._requests[self._number % len(self._requests)]
        self._number += 1
        self._pending[connection] = request
        try:
            os.write(connection, request.request)
        except OSError:
            return  # its end is read next

    def _receive(self, connection: int) -> bool:
        """Read what has arrived; return whether the connection is still open."""
        try:
            received = os.read(connection, _READ_BYTES)
        except OSError:
            received = b""
        if not received:
            if self._pending.pop(connection, None) is not None:
                self._tally.lost += 1
            return False
        data = self._partial.pop(connection, b"") + received
        length = answer_bytes(data)
        if not length or len(data) < length:
            self._partial[connection] = data
        elif self._pending.pop(connection).is_answered_by(data):
            self._tally.right += 1
        else:
            self._tally.wrong += 1
        return True
