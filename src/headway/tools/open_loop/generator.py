"""An open-loop load generator: each latency counts from the scheduled send time.

`traffic.send` runs this module as a child process. It uses about 15 us of CPU per
request, because the server under test may share its cores; Locust's statistics alone
take 20 us. Therefore it has a loop of its own beside load/open_loop_sender, over the
same ConnectionPool.
"""

import gc
import select
import sys
import time
from array import array

import msgspec
import numpy as np

from headway.core.parent_death import die_with_parent
from headway.server.sockets import allow_connections
from headway.tools.open_loop.connections import ConnectionPool, status_of
from headway.tools.open_loop.traffic import LOST, NOT_SENT, Outcomes, Traffic

_OK = 200
_TICK_S = 0.0002
"""Requests due within this time are sent together, which saves system calls."""
_BURST = 256
"""Maximum requests sent before answers are read again."""


class OpenLoop:
    """Sends traffic and records the outcome of each request.

    Args:
        traffic: What to send.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._request = traffic.request()
        self._scheduled = array("d", traffic.schedule())
        count = len(self._scheduled)
        self._sent = array("d", [np.nan]) * count
        self._answered = array("d", [np.nan]) * count
        self._status = array("h", [0]) * count
        self._began = 0.0
        self._next = 0
        last_phase_s = traffic.seconds - traffic.phases[-1].seconds
        self._judged = int(np.searchsorted(np.array(self._scheduled), last_phase_s))
        """Next request of the last phase whose deadline must pass."""
        self._may_miss = (
            float("inf")
            if traffic.most_missed is None
            else traffic.most_missed * (count - self._judged)
        )

    def run(self) -> Outcomes:
        """Send all requests and wait for the answers until the deadline and grace."""
        # Before the connections: select.select takes small descriptors only.
        with select.epoll() as epoll:
            self._epoll = epoll
            self._pool: ConnectionPool[int] = ConnectionPool(
                url=self._traffic.url,
                epoll=epoll,
                limit=self._traffic.max_connections,
                on_answer=self._note_answer,
                on_loss=self._note_loss,
            )
            self._pool.open_idle(self._traffic.connections)
            gc.collect()
            gc.freeze()
            gc.disable()
            self._began = time.monotonic()
            try:
                self._drive()
            finally:
                gc.enable()
                gc.unfreeze()
                self._pool.close()
        return Outcomes(
            began=self._began,
            deadline_s=self._traffic.deadline_ms / 1000,
            scheduled=np.array(self._scheduled),
            sent=np.array(self._sent),
            answered=np.array(self._answered),
            status=np.array(self._status),
        )

    def _drive(self) -> None:
        scheduled, count = self._scheduled, len(self._scheduled)
        pool, pending = self._pool, self._pool.pending
        end = self._traffic.seconds + self._traffic.deadline_ms / 1000
        end += self._traffic.grace_s
        while self._next < count or pending:
            now = time.monotonic() - self._began
            if now > end or self._is_missed(now):
                break
            self._send_due(now)
            until_next = (scheduled[self._next] if self._next < count else end) - now
            if until_next > _TICK_S:
                # epoll waits for whole milliseconds only; select can wait for less.
                select.select((self._epoll,), (), (), until_next)
            elif until_next > 0:
                time.sleep(_TICK_S)
            pool.poll()
        for number in range(self._next, count):
            self._status[number] = NOT_SENT

    def _is_missed(self, now: float) -> bool:
        """Return whether too large a share has missed the deadline already."""
        deadline_s = self._traffic.deadline_ms / 1000
        number = self._judged
        if self._may_miss == float("inf"):
            return False
        while number < self._next and self._scheduled[number] + deadline_s < now:
            took = self._answered[number] - self._scheduled[number]
            # NaN without an answer, and NaN <= x is false.
            if not (took <= deadline_s and self._status[number] == _OK):
                self._may_miss -= 1
            number += 1
        self._judged = number
        return self._may_miss < 0

    def _send_due(self, now: float) -> None:
        scheduled, pool = self._scheduled, self._pool
        number = self._next
        last = min(number + _BURST, len(scheduled))
        while number < last and scheduled[number] <= now:
            sent = time.monotonic() - self._began
            if pool.send(number, self._request):
                self._sent[number] = sent
            else:
                self._status[number] = NOT_SENT
            number += 1
        self._next = number

    def _note_answer(
        self, number: int, data: bytes | bytearray, _length: int, at: float
    ) -> None:
        self._answered[number] = at - self._began
        self._status[number] = status_of(data)

    def _note_loss(self, number: int, _at: float, _reason: str) -> None:
        self._status[number] = LOST


def main() -> None:
    """Send the traffic that standard input describes."""
    die_with_parent(int(sys.argv[1]))
    allow_connections()
    traffic = msgspec.json.decode(sys.stdin.buffer.read(), type=Traffic)
    sys.stdout.buffer.write(OpenLoop(traffic).run().to_bytes())


if __name__ == "__main__":
    main()
