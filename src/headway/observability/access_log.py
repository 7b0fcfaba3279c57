"""The access log: one record for each request, once it is answered.

RequestTrace notes answers here if `logging.access` is on. Entries go to a thread once
per turn of the event loop: a slow log reader never delays requests.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from headway.core.log import LineHandler
from headway.metrics import Counter

CLIENT_CLOSED: Final = 499
"""Logged in place of a status if the client hung up before its answer."""

_log = logging.getLogger("headway.access")
_MAX_WAITING = 20_000
"""At 10,000 requests a second, two seconds without a write."""
_CLOSE_S = 2.0
_WRITTEN_TOGETHER = 256


class AccessEntry(msgspec.Struct, gc=False):
    """One answer, or a client that hung up before it."""

    time: float
    """Of the answer, in seconds since the epoch."""
    method: str
    path: str
    status: int
    length: int
    """Bytes of the body."""
    seconds: float
    """From the request's last byte to its answer."""
    request_id: str


class AccessLog:
    """Collects entries in the event loop; writes them in a thread of its own.

    Args:
        loop: Whose turns are collected.
        dropped: Counts entries that were dropped because too many were waiting.
        max_waiting: Entries that may wait.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        dropped: Counter,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._loop = loop
        self._dropped = dropped
        self._max_waiting = max_waiting
        self._turn: list[AccessEntry] = []
        # Shared with the thread, under the lock of _changed.
        self._changed = threading.Condition()
        self._waiting: list[AccessEntry] = []
        self._unreported = 0
        """Entries dropped since the log last mentioned any."""
        self._is_closing = False
        self._thread = threading.Thread(
            target=self._run, name="headway-access-log", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def note(self, entry: AccessEntry) -> None:
        """Log an answer."""
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append(entry)

    def _hand_over(self) -> None:
        entries, self._turn = self._turn, []
        if entries:
            self.offer(entries)

    def offer(self, entries: Sequence[AccessEntry]) -> None:
        """Give entries to the thread; drop and count those that find no room."""
        with self._changed:
            room = self._max_waiting - len(self._waiting)
            lost = max(len(entries) - room, 0)
            self._unreported += lost
            self._waiting += entries[: len(entries) - lost]
            self._changed.notify()
        if lost:
            self._dropped.add(lost)

    async def aclose(self) -> None:
        """Write the rest; give up if the log's reader does not take it in time."""
        self._hand_over()
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _CLOSE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_closing:
                        return
                    self._changed.wait()
                # Entries count as waiting until they are written.
                entries = self._waiting[:_WRITTEN_TOGETHER]
                lost, self._unreported = self._unreported, 0
            try:
                _write(entries, lost)
            except Exception:
                # A user's handler may raise anything; the next entries are written.
                logging.getLogger(__name__).exception("the access log was not written")
            with self._changed:
                del self._waiting[: len(entries)]


def _write(entries: Iterable[AccessEntry], lost: int) -> None:
    """Give entries, in order of time, to all handlers of the access log."""
    records = []
    if _log.isEnabledFor(logging.INFO):
        made = map(_record, entries)
        records = [record for record in made if _log.filter(record)]
    if lost:
        message = "%d requests were not logged: the log's lines are taken too slowly"
        record = _log.makeRecord(
            _log.name, logging.WARNING, __file__, 0, message, (lost,), None
        )
        records.append(record)
    for handler in _handlers(_log):
        if isinstance(handler, LineHandler):
            handler.handle_all(records)
        else:
            for record in records:
                if record.levelno >= handler.level:
                    handler.handle(record)


def _record(entry: AccessEntry) -> logging.LogRecord:
    milliseconds = round(entry.seconds * 1000, 3)
    return logging.makeLogRecord(
        {
            "name": _log.name,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "created": entry.time,
            "msecs": entry.time % 1 * 1000,
            "msg": "%s %s %d %d bytes %.3f ms",
            "args": (
                *(entry.method, entry.path, entry.status),
                *(entry.length, milliseconds),
            ),
            "method": entry.method,
            "path": entry.path,
            "status": entry.status,
            "bytes": entry.length,
            "milliseconds": milliseconds,
            "request_id": entry.request_id,
        }
    )


def _handlers(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that a record of the logger goes to."""
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None
