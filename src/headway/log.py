"""Sets logging up: a line on standard error for each record.

Each process calls `configure` once; everything else takes `logging.getLogger`.
"""

import logging
import sys
import time
from typing import Any, Literal, TextIO

import msgspec

__all__ = ["configure"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "message",
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
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)


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
    """`2026-11-23 11:50:01.123 INFO api-0 message`, a traceback on lines below."""

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        # Escaped, so that what a client sends cannot look like a record of its own.
        message = _escape(_message(record))
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
