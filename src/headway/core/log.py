"""Sets logging up: a line on standard error for each record.

Each process calls `configure` once; everything else takes `logging.getLogger`. While a
request is served, api/observer has its name in REQUEST_ID, and lines bear it.
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

__all__ = ["REQUEST_ID", "LineHandler", "configure"]

REQUEST_ID: Final[ContextVar[str]] = ContextVar("headway_request_id")
"""Names the request being served; not set outside of one, or if they have no names."""

_WHOLE_BYTES = 4096
"""Linux's PIPE_BUF: what goes into a pipe that processes share in one piece."""

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
        level: Least severity that is written: debug, info, warning, error.
        format: `text` for the eye, `json` for machines.
        stream: Where to write instead.
    """
    formatter = (
        _JsonFormatter(process_name)
        if format == "json"
        else _TextFormatter(process_name)
    )
    handler = LineHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records as lines: each at once, or many together."""

    def handle_all(self, records: Iterable[logging.LogRecord]) -> None:
        """Write many records, from a thread that may be kept waiting.

        Nobody else waits for it: neither the handler nor its stream is held meanwhile.
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
    """Yield whole lines, together while others' lines cannot get between them."""
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


def _request_id(record: logging.LogRecord) -> str | None:
    """Return the name of the request that a record is about."""
    own: str | None = getattr(record, "request_id", None)
    return REQUEST_ID.get(None) if own is None else own


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    # A warning's further lines repeat the source line that its first one names.
    return message.partition("\n")[0] if record.name == "py.warnings" else message


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


class _TextFormatter(logging.Formatter):
    """`2026-11-23 11:50:01.123 INFO api-0 message`, a traceback on lines below.

    The message comes after the name of its request in brackets, if it has one.
    """

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        # Escaped, so that what a client sends cannot look like a record of its own.
        message = _escape(_message(record))
        request_id = _request_id(record)
        if request_id:
            message = f"[{_escape(request_id)}] {message}"
        line = (
            f"{seconds}.{int(record.msecs):03d} {record.levelname} "
            f"{self._process_name} {message}"
        )
        traceback = _traceback(self, record)
        return f"{line}\n{_encodable(traceback)}" if traceback else line


class _JsonFormatter(logging.Formatter):
    """One object a line; `extra` fields are keys of their own."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _utc(record),
            "level": record.levelname,
            "process": self._process_name,
            "logger": record.name,
            "message": _encodable(_message(record)),
        }
        traceback = _traceback(self, record)
        if traceback:
            fields["traceback"] = _encodable(traceback)
        request_id = _request_id(record)
        if request_id:
            fields["request_id"] = request_id
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        try:
            return _encoder.encode(fields).decode()
        except (TypeError, ValueError, RecursionError):
            # A value of `extra` that JSON cannot hold costs no more than its form.
            plain = {key: _encodable(str(value)) for key, value in fields.items()}
            return _encoder.encode(plain).decode()


def _utc(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _escape(message: str) -> str:
    if message.isprintable():
        return message
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in message
    )


def _encodable(text: str) -> str:
    """Return the text with lone surrogates escaped, which UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()
