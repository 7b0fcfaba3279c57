"""Shares the load between the API workers, which accept from one listening socket.

http/server asks `may_accept` before it takes a new connection: a worker with more than
its share leaves it to the others. Connections that become busy later are moved: some
times a second a busy worker hands a few over to an idle one, between two requests.
"""

import array
import asyncio
import contextlib
import functools
import heapq
import os
import socket
from collections.abc import Callable, Sequence

from headway.http.connection import Connection
from headway.http.load_table import SharedLoadTable, WorkerLoad, cpu_demand_s
from headway.http.server_state import ServerState
from headway.metrics import Counter

GAP = 0.3
"""Cores by which a worker must be busier than another to move connections there."""

_CORE_CONNECTIONS = 16
"""New connections go where loads are low: a whole core counts as 16 connections."""
_INTERVAL_S = 0.25
"""Between two looks at the loads."""
_SUSTAINED_S = 0.5
"""Time for which the gap must last before a move: most bursts end before it pays."""
_REST_S = 1.0
"""The same after a move, so that the loads show its effect."""
_STAY_S = 5.0
"""A moved connection stays at least this long."""
_RECENT_S = 1.0
"""Connections without a request in this time are no part of the load."""
_ANSWER_S = 0.25
"""In which another worker must take a connection, which nobody serves until then."""
_MAX_MOVED = 8
"""Connections in one move; a queue of datagrams often holds no more than 10."""

_TAKEN = b"1"


def plan_move(
    loads: Sequence[WorkerLoad | None], index: int
) -> tuple[int, float] | None:
    """Return to which worker a worker should move which share of its load.

    The busiest moves to the idlest, the second busiest to the second idlest, and so on:
    all workers see the same loads, so no two of them choose the same receiver.

    Args:
        loads: Of all workers; None: it takes no connections.
        index: The worker that moves connections away.
    """
    mine = loads[index]
    order = sorted(
        (load.busy, load.connections, number)
        for number, load in enumerate(loads)
        if load is not None
    )
    if mine is None:
        return None
    place = order.index((mine.busy, mine.connections, index))
    busy, _, receiver = order[-1 - place]
    gap = mine.busy - busy
    if gap < GAP:
        return None
    # To the middle, or just so far past it that the receiver does not move them back.
    # A connection that is its worker's entire load therefore never moves.
    return receiver, (gap / 2 + GAP / 4) / mine.busy


def may_move(connection: Connection, now: float) -> bool:
    """Return whether another worker can go on with a connection, and may already."""
    return (
        connection.has_answered
        and not (connection.reading_closed or connection.reading_paused)
        and not (connection.moved_here_at and now - connection.moved_here_at < _STAY_S)
    )


class ConnectionBalancer:
    """One worker's part in sharing the load.

    A datagram brings another worker two descriptors: the connection's, and one end of
    a socket pair on which it says, before it reads a byte, that it takes the
    connection. Until then both have the connection open, so that whatever happens
    leaves it with one of them:

    - The other worker dies or drains: the pair breaks, and the connection stays.
    - It is late: this end is shut, after which the other cannot take it any more, and
      then read. The loser only closes its descriptor.

    Args:
        index: The worker.
        table: The loads of all workers.
        paths: Sockets on which the workers receive connections; none: nothing moves.
        moved: Counts connections that another worker took.
    """

    def __init__(
        self,
        *,
        index: int,
        table: SharedLoadTable,
        paths: Sequence[str],
        moved: Counter,
    ) -> None:
        self._index = index
        self._table = table
        self._paths = paths
        self._moved = moved
        self._state: ServerState | None = None
        self._adopt: Callable[[socket.socket], None]
        self._timer: asyncio.TimerHandle | None = None
        self._receiver: socket.socket | None = None
        self._load = WorkerLoad(0.0, 0)
        self._looked_at = 0.0
        self._wanted_s = 0.0
        self._move_at: float | None = None  # None: there is no gap
        self._leaving: set[Connection] = set()  # in a request still
        self._offers: set[socket.socket] = set()  # our ends of the pairs
        self._moves: set[asyncio.Task[None]] = set()

    def start(self, state: ServerState, adopt: Callable[[socket.socket], None]) -> None:
        """Take part from now on.

        Args:
            state: Has the connections.
            adopt: Serves a connection from another worker.

        Raises:
            OSError: The table or the socket cannot be used.
        """
        self._state, self._adopt = state, adopt
        self._table.start()
        if self._paths:
            self._open_receiver(self._paths[self._index])
        self._looked_at, self._wanted_s = state.now(), cpu_demand_s()
        self._table.publish(self._load, self._looked_at)
        self._look_later()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_INTERVAL_S, self._look)

    async def aclose(self) -> None:
        """Take part no longer; each move in progress ends on one side."""
        if self._state is None:
            return
        self._state = None
        if self._timer is not None:
            self._timer.cancel()
        self._table.withdraw()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            asyncio.get_running_loop().remove_reader(receiver)
            receiver.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._paths[self._index])
        self.keep_leaving()
        for offer in self._offers:
            _shut(offer)
        if self._moves:
            await asyncio.wait(self._moves)

    # --- new connections

    def may_accept(self) -> bool:
        """Return whether no other worker has clearly less load than this one."""
        state = self._state
        if state is None:
            return True
        least = min(
            load.connections + _CORE_CONNECTIONS * load.busy
            for load in self._table.read(state.now())
            if load is not None
        )
        # The slack grows with the connections, so that workers which fill up at the
        # same time rarely wait for each other.
        busy, connections = self._load
        return connections * 31 / 32 + _CORE_CONNECTIONS * busy <= least + 0.5

    def count_connections(self, connections: int) -> None:
        """Publish the number of connections after one was opened or closed."""
        if self._state is not None:
            self._load = WorkerLoad(self._load.busy, connections)
            self._table.publish(self._load, self._looked_at)

    # --- looking at the loads, some times a second

    def _look(self) -> None:
        state = self._state
        if state is None:
            return
        self._look_later()
        self.keep_leaving()
        now = state.now()
        self._measure(state, now)
        plan = plan_move(self._table.read(now), self._index) if self._paths else None
        if plan is None:
            self._move_at = None
        elif self._move_at is None:
            self._move_at = now + _SUSTAINED_S
        elif now >= self._move_at and self._move_share(state, *plan, now):
            self._move_at = now + _REST_S

    def _measure(self, state: ServerState, now: float) -> None:
        """Publish the load since the last look, averaged with the one before."""
        passed_s = now - self._looked_at
        if passed_s > 0:
            wanted_s = cpu_demand_s()
            share = min((wanted_s - self._wanted_s) / passed_s, 1.0)
            self._wanted_s, self._looked_at = wanted_s, now
            busy = (self._load.busy + share) / 2
            self._load = WorkerLoad(busy, self._load.connections)
            self._table.publish(self._load, now)

    def _move_share(
        self, state: ServerState, worker: int, share: float, now: float
    ) -> bool:
        """Move connections that make this share of the load; return whether any do."""
        active = [c for c in state.connections if now - c.last_active_at <= _RECENT_S]
        movable = [c for c in active if may_move(c, now)]
        # The latest request is most often of a connection that has many.
        chosen = heapq.nlargest(
            min(int(share * len(active)), _MAX_MOVED),
            movable,
            key=lambda connection: connection.last_active_at,
        )
        for connection in chosen:
            self.move(connection, worker)
        return bool(chosen)

    # --- moving a connection to another worker

    def move(self, connection: Connection, worker: int) -> None:
        """Move a connection as soon as it is between two requests."""
        self._leaving.add(connection)
        connection.leave(functools.partial(self._on_free, connection, worker))

    def keep_leaving(self) -> None:
        """Keep the connections that are still in a request."""
        for connection in self._leaving:
            connection.stay()
        self._leaving.clear()

    def _on_free(self, connection: Connection, worker: int) -> None:
        # The task begins a turn later, when the last response has been sent.
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._move(connection, self._paths[worker]))
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _move(self, connection: Connection, path: str) -> None:
        if connection not in self._leaving:
            return
        self._leaving.remove(connection)
        transport = connection.transport
        if transport is None or transport.is_closing():
            return
        # What the client has not taken yet can be sent here only.
        unsent = transport.get_write_buffer_size()
        descriptor = transport.get_extra_info("socket").fileno()
        if not unsent and await self._hand_over(descriptor, path):
            self._moved.add()
            connection.abort()  # closes this process's descriptor, not the connection
        else:
            connection.stay()

    async def _hand_over(self, descriptor: int, path: str) -> bool:
        """Offer a connection to another worker; return whether it took it."""
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            return False  # no descriptor to spare
        with ours:
            if self._receiver is None:
                theirs.close()
                return False
            rights = array.array("i", (descriptor, theirs.fileno()))
            loop = asyncio.get_running_loop()
            timer = loop.call_later(_ANSWER_S, _shut, ours)
            self._offers.add(ours)
            ours.setblocking(False)
            try:
                with theirs:  # Not socket.send_fds, which leaves the address out.
                    self._receiver.sendmsg(
                        (), [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, path
                    )
                return await loop.sock_recv(ours, 1) == _TAKEN
            except OSError:
                return False  # its queue is full, or the worker is gone
            finally:
                timer.cancel()
                self._offers.discard(ours)

    # --- taking a connection from another worker

    def _open_receiver(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a worker with this index that was killed
        self._receiver = receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.bind(path)
        asyncio.get_running_loop().add_reader(receiver, self._receive, receiver)

    def _receive(self, receiver: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            _, descriptors, _, _ = socket.recv_fds(receiver, 16, 2)
            arrived = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            # Fewer: no descriptor to spare. The sender sees the pair break.
            if len(arrived) != 2 or not _says_taken(arrived[1]):
                for one in arrived:
                    one.close()
                return
            arrived[1].close()
            arrived[0].set_inheritable(False)
            arrived[0].setblocking(False)
            self._adopt(arrived[0])


def _says_taken(answer: socket.socket) -> bool:
    """Tell the sender that this worker takes the connection, unless it is too late."""
    try:
        return answer.send(_TAKEN, socket.MSG_DONTWAIT) == len(_TAKEN)
    except OSError:
        return False


def _shut(offer: socket.socket) -> None:
    """End an offer: what the other worker has said is read, and it can say no more."""
    with contextlib.suppress(OSError):  # the other end is closed already
        offer.shutdown(socket.SHUT_RDWR)
