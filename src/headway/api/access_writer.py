"""The thread that writes the access log, however slowly its lines are taken.

api/access_log offers it entries; it makes records of them for the log's handlers.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from headway.core.log import LineHandler
from headway.metrics import Counter

__all__ = ["AccessEntry", "AccessWriter"]

_log = logging.getLogger("headway.access")
_MOST = 20_000
"""Entries that wait; at 10,000 requests a second that is two seconds' silence."""
_CLOSE_S = 2.0


class AccessEntry(msgspec.Struct, gc=False):
    """One answer, or a client that did not wait for it."""

    time: float
    """Of the answer, in seconds since the epoch."""
    method: str
    path: str
    status: int
    length: int
    seconds: float
    request_id: str


class AccessWriter:
    """Writes entries in a thread of its own; drops and counts what is too much.

    Args:
        dropped: Counts entries that were dropped.
        most: Entries that may wait.
    """

    def __init__(self, *, dropped: Counter, most: int = _MOST) -> None:
        self._dropped = dropped
        self._most = most
        self._changed = threading.Condition()
        self._waiting: list[AccessEntry] = []
        self._lost = 0
        """Entries dropped since the log last told of it."""
        self._is_closing = False
        self._thread = threading.Thread(
            target=self._run, name="headway-access-log", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, entries: Sequence[AccessEntry]) -> None:
        """Take entries to be written, as many as there is room for."""
        with self._changed:
            room = self._most - len(self._waiting)
            lost = max(len(entries) - room, 0)
            self._lost += lost
            self._waiting += entries[: len(entries) - lost]
            self._changed.notify()
        if lost:
            self._dropped.add(lost)

    async def aclose(self) -> None:
        """Write what is left; give up on a reader who does not take it."""
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
                # They count as waiting until they are written, which may take long.
                entries, lost = self._waiting[:_A_TIME], self._lost
                self._lost = 0
            try:
                write(entries, lost)
            except Exception:
                # A user's handler may raise anything; the next entries are written.
                logging.getLogger(__name__).exception("the access log was not written")
            with self._changed:
                del self._waiting[: len(entries)]


_A_TIME = 256
"""Entries written together."""


def write(entries: Iterable[AccessEntry], lost: int) -> None:
    """Give entries to all handlers of the access log.

    Args:
        entries: In order of time.
        lost: How many were dropped before them.
    """
    records = []
    if _log.isEnabledFor(logging.INFO):
        made = map(_record, entries)
        records = [record for record in made if _log.filter(record)]
    if lost:
        records.append(_lost_record(lost))
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


def _lost_record(lost: int) -> logging.LogRecord:
    return _log.makeRecord(
        _log.name,
        logging.WARNING,
        __file__,
        0,
        "%d requests were not logged: the log's lines are taken too slowly",
        (lost,),
        None,
    )


def _handlers(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that a record of the logger goes to."""
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None
