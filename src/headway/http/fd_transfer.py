"""Hands a connection's socket to another process, which takes it or does not.

http.neighbours has a FdReceiver, to which neighbours send, and a FdTransfer for each
connection that it sends.
"""

import array
import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterable

__all__ = ["FdReceiver", "FdTransfer"]

_log = logging.getLogger(__name__)
_TAKEN = b"1"
_AT_ONCE = 16


class FdReceiver:
    """Where neighbours send connections, and from where one sends to them.

    Args:
        path: Of the socket.
    """

    def __init__(self, *, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._take: Callable[[socket.socket], None] | None = None

    def open(self, take: Callable[[socket.socket], None]) -> None:
        """Begin to take connections.

        Args:
            take: Gets each, which is this process's from then on.

        Raises:
            OSError: The path cannot be used.
        """
        self._take = take
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # of a process that had this place and was killed
            made.bind(self._path)
        except OSError:
            made.close()
            raise
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._receive)

    def close(self) -> None:
        """Take nothing more; what has been sent and not taken stays with its sender."""
        made, self._socket = self._socket, None
        if made is not None:
            asyncio.get_running_loop().remove_reader(made)
            made.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def send(self, path: str, descriptors: Iterable[int]) -> bool:
        """Send descriptors to a neighbour's door; return whether they are under way."""
        if self._socket is None:
            return False
        rights = array.array("i", descriptors)
        try:
            # Not socket.send_fds, which leaves the address out.
            self._socket.sendmsg(
                [_TAKEN], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, path
            )
        except OSError:
            return False  # its queue is full, or it is gone
        return True

    def _receive(self) -> None:
        """Take what has come; called by the event loop."""
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                _, descriptors, _, _ = socket.recv_fds(self._socket, 16, 2)
            except BlockingIOError:
                return
            arrived = []
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                arrived.append(socket.socket(fileno=descriptor))
            self._answer(arrived)

    def _answer(self, arrived: list[socket.socket]) -> None:
        """Take a connection if its sender still waits for that."""
        if len(arrived) != 2 or self._take is None:
            # This process has no descriptor to spare: the sender sees the pair break.
            for one in arrived:
                one.close()
            return
        connection, answer = arrived
        with answer:
            try:
                answer.send(_TAKEN, socket.MSG_DONTWAIT)
            except OSError:
                connection.close()  # too late
                return
        connection.setblocking(False)
        self._take(connection)


class FdTransfer:
    """A connection on its way to a neighbour.

    A datagram brings it two descriptors: the connection's, and one end of a socket pair
    on which it says that it takes the connection, before it reads a byte. Until then
    both have the connection open, so that whatever happens leaves it with one of them:

    - The neighbour dies or closes its door: the pair breaks, and the sender goes on.
    - The sender gives up: it shuts its end down, after which the neighbour cannot say
      yes any more, and looks whether it has. Who loses closes its descriptor only.

    Args:
        on_end: Told once whether the neighbour has taken it.
    """

    __slots__ = ("_on_end", "_socket", "_timer")

    def __init__(self, *, on_end: Callable[[bool], None]) -> None:
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self, door: FdReceiver, path: str, descriptor: int, timeout_s: float
    ) -> None:
        """Send a connection to the neighbour's door at `path`."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:  # no descriptor to spare
            _log.debug("a connection is not moved: %s", error)
            self._on_end(False)
            return
        with theirs:
            sent = door.send(path, (descriptor, theirs.fileno()))
        if not sent:
            ours.close()
            self._on_end(False)
            return
        ours.setblocking(False)
        self._socket = ours
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._end)
        self._timer = loop.call_later(timeout_s, self.give_up)

    def give_up(self) -> None:
        """Have an end now: the neighbour has taken it, or never will."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the neighbour closed its end already
                self._socket.shutdown(socket.SHUT_RDWR)
            self._end()

    def _end(self) -> None:
        """Read the neighbour's answer; called by the event loop when there is one."""
        made, self._socket = self._socket, None
        if made is None:
            return
        asyncio.get_running_loop().remove_reader(made)
        if self._timer is not None:
            self._timer.cancel()
        try:
            taken = made.recv(1) == _TAKEN
        except OSError:
            taken = False
        made.close()
        self._on_end(taken)
