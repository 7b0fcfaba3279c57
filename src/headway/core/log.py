"""Logging: one line on standard error for each record, as text or JSON.

Each process calls `configure` once; all other code takes `logging.getLogger`. While a
request with an ID is served, its task has the ID in REQUEST_ID, and log lines show it.
"""

import logging
import os
import select
import sys
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO

import msgspec

REQUEST_ID: Final[ContextVar[str]] = ContextVar("headway_request_id")
"""The ID of the request being served; unset outside of requests, or without IDs."""

_WHOLE_BYTES = 4096
"""Linux's PIPE_BUF: the largest write to a shared pipe that stays in one piece."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "message",
    "request_id",
    "taskName",
}
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(
    process_name: str,
    level: str = "info",
    format: Literal["text", "json"] = "text",  # noqa: A002 - the setting's name
    *,
    stream: TextIO | None = None,
) -> None:
    """Write the records of this process, and its warnings, to standard error.

    Args:
        process_name: Shown in each line: `api-0`, `runner-iris-0`, `supervisor`.
        level: Lowest severity that is written: debug, info, warning, error.
        format: `text` for people, `json` for machines.
        stream: Where to write instead.
    """
    formatter_class = _JsonFormatter if format == "json" else _TextFormatter
    handler = LineHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatter_class(process_name))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records as lines: each at once, or many together."""

    def handle_all(self, records: Iterable[logging.LogRecord]) -> None:
        """Write many records from a thread that may block.

        Other threads never wait for it: it holds neither the handler nor the stream.
        """
        lines = [
            f"{self.format(record)}{self.terminator}".encode()
            for record in records
            if record.levelno >= self.level and self.filter(record)
        ]
        try:
            fd = self.stream.fileno()
        except OSError:  # a stream in memory
            self.stream.write(b"".join(lines).decode())
            return
        for block in _blocks(lines):
            _write(fd, block)


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of whole lines, each small enough to be written in one piece."""
    block = b""
    for line in lines:
        if block and len(block) + len(line) > _WHOLE_BYTES:
            yield block
            block = b""
        block += line
    if block:
        yield block


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select((), (fd,), ())


class _Formatter(logging.Formatter):
    """The parts of a record that both forms of a line show."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def _request_id(self, record: logging.LogRecord) -> str | None:
        own: str | None = getattr(record, "request_id", None)
        return REQUEST_ID.get(None) if own is None else own

    def _message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        # A warning's further lines repeat the source line that its first one names.
        is_warning = record.name == "py.warnings"
        return message.partition("\n")[0] if is_warning else message

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return _encodable("\n".join(parts))


class _TextFormatter(_Formatter):
    """`2026-11-23 11:50:01.123 INFO api-0 message`, with a traceback on lines below.

    The request's ID stands before the message, in brackets.
    """

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        # Escaped, so that text of a client cannot look like another record.
        message = _escape(self._message(record))
        request_id = self._request_id(record)
        if request_id:
            message = f"[{_escape(request_id)}] {message}"
        line = (
            f"{seconds}.{int(record.msecs):03d} {record.levelname} "
            f"{self._process_name} {message}"
        )
        traceback = self._traceback(record)
        return f"{line}\n{traceback}" if traceback else line


class _JsonFormatter(_Formatter):
    """One object a line; `extra` fields are keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "process": self._process_name,
            "logger": record.name,
            "message": _encodable(self._message(record)),
        }
        if traceback := self._traceback(record):
            fields["traceback"] = traceback
        if request_id := self._request_id(record):
            fields["request_id"] = request_id
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        try:
            return _encoder.encode(fields).decode()
        except (TypeError, ValueError, RecursionError):
            # JSON cannot hold a value of `extra`: write all values as text.
            plain = {key: _encodable(str(value)) for key, value in fields.items()}
            return _encoder.encode(plain).decode()


def _escape(message: str) -> str:
    if message.isprintable():
        return message
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in message
    )


def _encodable(text: str) -> str:
    """Return the text with lone surrogates escaped, as UTF-8 cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode()
