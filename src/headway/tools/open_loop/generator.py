"""An open-loop load generator: every latency counts from when a request was to be sent.

The main module of the process that traffic.send starts. It spends about 15 us on a
request, since the server may share its cores: bare file descriptors, and no object of
its own for a request.
"""

import gc
import os
import select
import socket
import sys
import time
from array import array

import msgspec
import numpy as np

from headway.core.parent_death import die_with_parent
from headway.server.sockets import allow_connections
from headway.tools.open_loop.message import address, answer_bytes, status_of
from headway.tools.open_loop.outcomes import LOST, NOT_SENT, Outcomes
from headway.tools.open_loop.traffic import Traffic

__all__ = ["OpenLoop"]

_IDLE = -1
_OK = 200
_TICK_S = 0.0002
"""Requests that are due within it leave together, which saves system calls."""
_BURST = 256
"""Requests sent in one go, so that answers are not left unread meanwhile."""
_CONNECT_S = 10.0
_READ_BYTES = 4096


class OpenLoop:
    """Sends traffic and notes what becomes of each request.

    Args:
        traffic: What to send.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._address = address(traffic.url)
        self._request = traffic.request()
        self._scheduled = array("d", traffic.schedule())
        count = len(self._scheduled)
        self._sent = array("d", [np.nan]) * count
        self._answered = array("d", [np.nan]) * count
        self._status = array("h", [0]) * count
        self._began = 0.0
        self._next = 0
        self._outstanding = 0
        self._idle: list[int] = []
        self._owner: dict[int, int] = {}
        """Descriptor of a connection -> number of the request under way on it."""
        self._partial: dict[int, bytes] = {}
        last_phase_s = traffic.seconds - traffic.phases[-1].seconds
        self._judged = int(np.searchsorted(np.array(self._scheduled), last_phase_s))
        """Number of the next request of the last phase whose deadline has to pass."""
        self._may_miss = (
            float("inf")
            if traffic.most_missed is None
            else traffic.most_missed * (count - self._judged)
        )

    def run(self) -> Outcomes:
        """Send it all and wait for the answers, until some time after the deadline."""
        # First, as select.select takes small descriptors only.
        with select.epoll() as epoll:
            self._epoll = epoll
            for _ in range(self._traffic.connections):
                self._idle.append(self._connect())
            gc.collect()
            gc.freeze()
            gc.disable()
            self._began = time.monotonic()
            try:
                self._drive()
            finally:
                gc.enable()
                gc.unfreeze()
                for connection in self._owner:
                    os.close(connection)
        return Outcomes(
            began=self._began,
            deadline_s=self._traffic.deadline_ms / 1000,
            scheduled=np.array(self._scheduled),
            sent=np.array(self._sent),
            answered=np.array(self._answered),
            status=np.array(self._status),
        )

    def _connect(self) -> int:
        connection = socket.create_connection(self._address, timeout=_CONNECT_S)
        connection.setblocking(False)
        return self._register(connection, _IDLE, select.EPOLLIN)

    def _register(self, connection: socket.socket, owner: int, events: int) -> int:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connection.detach()
        self._owner[number] = owner
        self._epoll.register(number, events)
        return number

    def _drive(self) -> None:
        scheduled, count = self._scheduled, len(self._scheduled)
        end = self._traffic.seconds + self._traffic.deadline_ms / 1000
        end += self._traffic.grace_s
        while self._next < count or self._outstanding:
            now = time.monotonic() - self._began
            if now > end or self._is_missed(now):
                break
            self._send_due(now)
            until_next = (scheduled[self._next] if self._next < count else end) - now
            if until_next > _TICK_S:
                # An epoll waits for whole milliseconds only; select for less.
                select.select((self._epoll,), (), (), until_next)
            elif until_next > 0:
                time.sleep(_TICK_S)
            for connection, events in self._epoll.poll(0):
                if events & select.EPOLLOUT:
                    self._connected(connection)
                else:
                    self._receive(connection)
        for number in range(self._next, count):
            self._status[number] = NOT_SENT

    def _is_missed(self, now: float) -> bool:
        """Return whether more than the traffic's share have missed the deadline."""
        deadline_s = self._traffic.deadline_ms / 1000
        number = self._judged
        if self._may_miss == float("inf"):
            return False
        while number < self._next and self._scheduled[number] + deadline_s < now:
            took = self._answered[number] - self._scheduled[number]
            # Not a number if there is no answer, which is not below anything.
            if not (took <= deadline_s and self._status[number] == _OK):
                self._may_miss -= 1
            number += 1
        self._judged = number
        return self._may_miss < 0

    def _send_due(self, now: float) -> None:
        scheduled, idle = self._scheduled, self._idle
        number = self._next
        last = min(number + _BURST, len(scheduled))
        while number < last and scheduled[number] <= now:
            if idle:
                self._send(idle.pop(), number)
            elif len(self._owner) < self._traffic.max_connections:
                self._open(number)
            else:
                self._status[number] = NOT_SENT
            number += 1
        self._next = number

    def _send(self, connection: int, number: int) -> None:
        self._owner[connection] = number
        self._outstanding += 1
        self._sent[number] = time.monotonic() - self._began
        self._write(connection)

    def _write(self, connection: int) -> None:
        try:
            complete = os.write(connection, self._request) == len(self._request)
        except OSError:
            complete = False
        if not complete:
            self._lose(connection)

    def _open(self, number: int) -> None:
        """Begin to connect; the request goes out once that is done."""
        self._sent[number] = time.monotonic() - self._began
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(self._address)  # an error shows as an event, too
        self._register(connection, number, select.EPOLLIN | select.EPOLLOUT)
        self._outstanding += 1

    def _connected(self, connection: int) -> None:
        self._epoll.modify(connection, select.EPOLLIN)
        self._write(connection)

    def _receive(self, connection: int) -> None:
        try:
            data = os.read(connection, _READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(connection)
            return
        if connection in self._partial:
            data = self._partial.pop(connection) + data
        expected = answer_bytes(data)
        if not expected or len(data) < expected:
            self._partial[connection] = data
            return
        number = self._owner[connection]
        if number == _IDLE or len(data) > expected:
            self._lose(connection)  # an answer to nothing
            return
        self._answered[number] = time.monotonic() - self._began
        self._status[number] = status_of(data)
        self._owner[connection] = _IDLE
        self._idle.append(connection)
        self._outstanding -= 1

    def _lose(self, connection: int) -> None:
        os.close(connection)
        self._partial.pop(connection, None)
        number = self._owner.pop(connection)
        if number == _IDLE:
            self._idle.remove(connection)
        else:
            self._status[number] = LOST
            self._outstanding -= 1


def main() -> None:
    """Send the traffic that is described on the standard input."""
    die_with_parent(int(sys.argv[1]))
    allow_connections()
    traffic = msgspec.json.decode(sys.stdin.buffer.read(), type=Traffic)
    sys.stdout.buffer.write(OpenLoop(traffic).run().to_bytes())


if __name__ == "__main__":
    main()
