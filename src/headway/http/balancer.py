"""The API workers on one port: keeps their loads alike by moving connections.

The kernel gives a connection to a worker for good, so two clients that keep theirs may
share a worker while another idles. http.server starts this; http.balance decides,
http.load_board has the loads, http.handover moves.
"""

import asyncio
import functools
import heapq
import logging
import socket
from collections.abc import Sequence

from headway.http.balance import Balance, BalanceRules, Load
from headway.http.cpu_demand import CpuDemand
from headway.http.fd_transfer import FdReceiver, FdTransfer
from headway.http.protocol import Edge, HttpProtocol
from headway.http.shared_load_table import SharedLoadTable
from headway.metrics import Counter

__all__ = ["ConnectionBalancer"]

_log = logging.getLogger(__name__)


class ConnectionBalancer:
    """One worker's part in it.

    Args:
        index: Which of the workers it is.
        paths: Of all workers' doors.
        board: Shows the loads.
        rules: When connections are moved.
        moved: Counts those that a neighbour took.
    """

    def __init__(
        self,
        *,
        index: int,
        paths: Sequence[str],
        board: SharedLoadTable,
        rules: BalanceRules,
        moved: Counter,
    ) -> None:
        self._paths = paths
        self._board = board
        self._rules = rules
        self._moved = moved
        self._door = FdReceiver(path=paths[index])
        self._balance = Balance(index=index, rules=rules)
        self._edge: Edge | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = 0.0
        self._looked_at = 0.0
        self._core_time = CpuDemand()
        self._wanted_s = 0.0
        self._leaving: set[HttpProtocol] = set()  # not free yet
        self._departures: set[FdTransfer] = set()
        self._arrivals: set[asyncio.Task[None]] = set()

    def start(self, edge: Edge) -> None:
        """Take part.

        Args:
            edge: Has the connections.

        Raises:
            OSError: The board or the door cannot be used.
        """
        self._edge = edge
        self._board.start()
        self._door.open(self._take)
        self._looked_at = edge.now()
        self._core_time.start()
        self._wanted_s = self._core_time.wanted_s()
        self._look_later()

    async def aclose(self) -> None:
        """Neither give nor take from now on; what is under way ends on one side."""
        if self._edge is None:
            return
        self._edge = None
        if self._timer is not None:
            self._timer.cancel()
        self._core_time.close()
        self._board.withdraw()
        self._door.close()
        self._keep_waiting()
        for departure in list(self._departures):
            departure.give_up()
        if self._arrivals:
            await asyncio.wait(self._arrivals)

    # --- looking, some times a second

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._rules.interval_s, self._look)

    def _look(self) -> None:
        edge = self._edge
        if edge is None:
            return
        self._look_later()
        now = edge.now()
        self._keep_waiting()
        load = self._measure(edge, now)
        if load is None:
            return
        self._board.publish(load, now)
        gift = self._balance.decide(self._board.read(now), now)
        if gift is None:
            return
        active = [
            connection
            for connection in edge.connections
            if now - connection.last <= self._rules.recent_s
        ]
        movable = [c for c in active if c.may_leave(now, self._rules.stay_s)]
        # Of those that ask often, the last one to have asked is most often one.
        chosen = heapq.nlargest(
            gift.count(len(active)), movable, key=lambda connection: connection.last
        )
        for connection in chosen:
            self.give(connection, gift.neighbour)
        if chosen:
            self._balance.gave(now)

    def _measure(self, edge: Edge, now: float) -> Load | None:
        """Return the load since the last look, with what it was before."""
        passed_s = now - self._looked_at
        if passed_s <= 0:
            return None
        wanted_s = self._core_time.wanted_s()
        share = min((wanted_s - self._wanted_s) / passed_s, 1.0)
        self._wanted_s, self._looked_at = wanted_s, now
        self._busy = (self._busy + share) / 2
        return Load(self._busy, len(edge.connections))

    # --- giving

    def give(self, connection: HttpProtocol, neighbour: int) -> None:
        """Move a connection as soon as it is between two requests."""
        self._leaving.add(connection)
        connection.leave(functools.partial(self._on_free, connection, neighbour))

    def _on_free(self, connection: HttpProtocol, neighbour: int) -> None:
        # A turn later its last answer has been sent.
        loop = asyncio.get_running_loop()
        loop.call_soon(self._send, connection, neighbour)

    def _send(self, connection: HttpProtocol, neighbour: int) -> None:
        if connection not in self._leaving:
            return
        self._leaving.remove(connection)
        descriptor = connection.descriptor
        if descriptor is None:
            connection.stay()
            return

        def on_end(taken: bool) -> None:
            self._departures.discard(departure)
            if taken:
                self._moved.add()
                connection.abort()  # closes our descriptor, and no connection
            else:
                connection.stay()

        departure = FdTransfer(on_end=on_end)
        self._departures.add(departure)
        departure.start(
            self._door, self._paths[neighbour], descriptor, self._rules.answer_s
        )

    def _keep_waiting(self) -> None:
        """Keep the connections that have not come between two requests until now."""
        for connection in self._leaving:
            connection.stay()
        self._leaving.clear()

    # --- taking

    def _take(self, arrived: socket.socket) -> None:
        edge = self._edge
        assert edge is not None, "the door is open"
        task = asyncio.get_running_loop().create_task(_serve(arrived, edge))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)


async def _serve(arrived: socket.socket, edge: Edge) -> None:
    """Go on where a neighbour stopped, with what the client has sent since."""

    def make() -> HttpProtocol:
        made = HttpProtocol(edge)
        made.arrive()
        return made

    try:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(make, arrived)
    except OSError as error:
        arrived.close()
        _log.debug("a connection ended as it was moved here: %s", error)
