"""What becomes of requests that come at a given rate, whatever the server does?

An open-loop load generator: Poisson arrivals in phases, every latency measured from the
time at which the request was to be sent. It runs in a process of its own (traffic.send
starts it for other benchmarks) and spends about 15 us on a request, since the server
shares its cores: bare file descriptors, and no object of its own for a request.
"""

import argparse
import gc
import os
import resource
import select
import socket
import time
from array import array
from pathlib import Path

import numpy as np

from benchmarks.message import address, answer_bytes, status_of
from benchmarks.outcomes import LOST, NOT_SENT, Outcomes
from benchmarks.report import show
from benchmarks.traffic import FLOWER, Phase, Traffic

__all__ = ["OpenLoop"]

_IDLE = -1
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
        grace_s: Wait for answers after the last deadline.
    """

    def __init__(self, traffic: Traffic, *, grace_s: float = 4.0) -> None:
        self._traffic = traffic
        self._grace_s = grace_s
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
        end = self._traffic.seconds + self._traffic.deadline_ms / 1000 + self._grace_s
        while self._next < count or self._outstanding:
            now = time.monotonic() - self._began
            if now > end:
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
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument(
        "--phase",
        type=_phase,
        action="append",
        required=True,
        metavar="RATE,SECONDS",
        help="again for each phase, as in --phase 3500,5 --phase 28000,10",
    )
    parser.add_argument("--body", default=FLOWER, help="of each request, JSON")
    parser.add_argument("--deadline-ms", type=float, default=1000.0)
    parser.add_argument("--connections", type=int, default=256, help="opened before")
    parser.add_argument("--max-connections", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=float, help="also show each so many seconds")
    parser.add_argument("--save", type=Path, help="an .npz file for all outcomes")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    traffic = Traffic(
        url=options.url,
        phases=tuple(options.phase),
        body=options.body,
        deadline_ms=options.deadline_ms,
        connections=options.connections,
        max_connections=options.max_connections,
        seed=options.seed,
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcomes = OpenLoop(traffic).run()
    if options.save:
        outcomes.save(options.save)
    spans = [phase.seconds for phase in traffic.phases]
    if options.step:
        spans = [options.step] * round(traffic.seconds / options.step)
    _show(outcomes, spans, options.json)


def _phase(text: str) -> Phase:
    per_s, seconds = text.split(",")
    return Phase(float(per_s), float(seconds))


def _show(outcomes: Outcomes, spans: list[float], file: Path | None) -> None:
    rows = []
    began = 0.0
    for seconds in spans:
        part = outcomes.between(began, began + seconds)
        rows.append({"from s": began, **part.summary(seconds).row()})
        began += seconds
    show("open loop, latency from the scheduled send time", rows, file)


if __name__ == "__main__":
    main()
