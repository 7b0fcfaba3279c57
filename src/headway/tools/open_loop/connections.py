"""HTTP/1.1 connections for load generators, on bare descriptors and one epoll.

Both open-loop senders use the pool: open_loop/generator in a process of its own, and
load/open_loop_sender inside Locust. They share the cores with the server under test, so
the pool creates no object for a connection or an answer.
"""

import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import urlsplit

_CONNECT_S = 5.0
_READ_BYTES = 4096
"""A larger buffer costs more per read, and most answers are small."""

Item = TypeVar("Item")


def address(url: str) -> tuple[str, int]:
    """Return the host and the port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def request_bytes(
    url: str, body: bytes, headers: Mapping[str, str], method: str = "POST"
) -> bytes:
    """Return a request with a body, JSON unless `headers` have another Content-Type."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        **headers,
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def answer_bytes(data: bytes | bytearray) -> int:
    """Return the length of the answer at the start of `data`; 0 if not known yet.

    Raises:
        ValueError: If the answer has no Content-Length.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.find(b"content-length: ", 0, end)
    if at < 0:
        at = data[:end].lower().index(b"content-length: ")
    line_end = data.find(b"\r\n", at)
    return end + 4 + int(data[at + 16 : line_end])


def status_of(data: bytes | bytearray) -> int:
    """Return the status code of an answer."""
    return int(data[9:12])


class ConnectionPool(Generic[Item]):
    """Connections to one server, each with at most one request in flight.

    The owner calls `send` for each request and `poll` often; `poll` calls it back.

    Args:
        url: URL of the server.
        epoll: Watches the connections; the owner closes it.
        limit: Maximum number of connections.
        on_answer: Called with the item of the request, the data received, the length of
            the answer in it, and the time of its arrival.
        on_loss: Called with the item of a request that got no answer, the time, and the
            reason.
    """

    def __init__(
        self,
        *,
        url: str,
        epoll: "select.epoll",  # quoted: gevent removes the class from the module
        limit: int,
        on_answer: Callable[[Item, bytes | bytearray, int, float], None],
        on_loss: Callable[[Item, float, str], None],
    ) -> None:
        self._address = address(url)
        self._epoll = epoll
        self._limit = limit
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._idle: list[int] = []
        self.pending: dict[int, Item] = {}
        """Descriptor of a connection -> item of its request in flight."""
        self._unsent: dict[int, memoryview] = {}
        """... -> the part of the request that the socket has not accepted yet."""
        self._partial: dict[int, bytearray] = {}
        """... -> the part of the answer that has arrived."""

    @property
    def is_full(self) -> bool:
        """Whether all connections are busy and no more may be opened."""
        return not self._idle and len(self.pending) >= self._limit

    def open_idle(self, count: int) -> None:
        """Open connections in advance.

        Raises:
            OSError: If the server does not accept them.
        """
        for _ in range(count):
            opened = socket.create_connection(self._address, _CONNECT_S)
            opened.setblocking(False)
            self._idle.append(self._register(opened))

    def send(self, item: Item, request: bytes) -> bool:
        """Send on an idle or a new connection; return whether there is one."""
        if self._idle:
            connection = self._idle.pop()
        elif len(self.pending) < self._limit:
            connection = self._connect()
        else:
            return False
        self.pending[connection] = item
        self._write(connection, request)
        return True

    def poll(self) -> None:
        """Read the answers that have arrived, without waiting."""
        for connection, events in self._epoll.poll(0):
            if events & select.EPOLLOUT:
                unsent = self._unsent.get(connection)
                if unsent is not None:
                    self._write(connection, unsent)
            else:
                self._read(connection)

    def lose(self, connection: int, at: float, reason: str) -> None:
        """Close a connection; its request in flight has no answer."""
        os.close(connection)
        self._partial.pop(connection, None)
        self._unsent.pop(connection, None)
        item = self.pending.pop(connection, None)
        if item is None:
            self._idle.remove(connection)
        else:
            self._on_loss(item, at, reason)

    def close(self) -> None:
        """Close all connections; `on_loss` is not called."""
        for connection in (*self._idle, *self.pending):
            os.close(connection)

    def _connect(self) -> int:
        """Start to connect; the request is written once the connection stands."""
        opened = socket.socket()
        opened.setblocking(False)
        opened.connect_ex(self._address)  # epoll reports an error, too
        return self._register(opened)

    def _register(self, opened: socket.socket) -> int:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = opened.detach()
        self._epoll.register(number, select.EPOLLIN)
        return number

    def _write(self, connection: int, data: bytes | memoryview) -> None:
        try:
            written = os.write(connection, data)
        except BlockingIOError:  # not connected yet, or the server reads slowly
            written = 0
        except OSError as error:
            self.lose(connection, time.monotonic(), _reason(error))
            return
        if written == len(data):
            if self._unsent and self._unsent.pop(connection, None) is not None:
                self._epoll.modify(connection, select.EPOLLIN)
            return
        if connection not in self._unsent:
            self._epoll.modify(connection, select.EPOLLIN | select.EPOLLOUT)
        self._unsent[connection] = memoryview(data)[written:]

    def _read(self, connection: int) -> None:
        try:
            data: bytes | bytearray = os.read(connection, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(connection, time.monotonic(), _reason(error))
            return
        at = time.monotonic()
        item = self.pending.get(connection)
        if not data or item is None:
            self.lose(connection, at, "the connection was closed before the answer")
            return
        partial = self._partial.get(connection) if self._partial else None
        if partial is not None:
            partial += data
            data = partial
        try:
            length = answer_bytes(data)
        except ValueError:
            self.lose(connection, at, "the answer has no Content-Length")
            return
        if not length or len(data) < length:
            if partial is None:
                self._partial[connection] = bytearray(data)
            return
        if partial is not None:
            del self._partial[connection]
        del self.pending[connection]
        if len(data) > length or _closes(data):
            os.close(connection)
        else:
            self._idle.append(connection)
        self._on_answer(item, data, length, at)


def _closes(data: bytes | bytearray) -> bool:
    """Return whether the server closes the connection after this answer."""
    if data.find(b"lose") < 0:  # rules out nearly every answer at once
        return False
    return b"\r\nconnection: close" in data[: data.find(b"\r\n\r\n")].lower()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
