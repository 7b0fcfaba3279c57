"""HTTP/1.1 as load generators need it: a request's bytes, and where an answer ends.

Called by the generators for each answer, so it looks at no more than it has to.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["address", "answer_bytes", "request_bytes", "status_of"]


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
    """Return the length of the answer that `data` begins with; 0 if unknown yet.

    Raises:
        ValueError: If it has no Content-Length.
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
    """Return the status of an answer."""
    return int(data[9:12])
