"""What one HTTP connection may cost: sizes, counts and seconds.

Built in `assemble` from the `api_server` section; read by protocol and server.
"""

import msgspec

__all__ = ["HttpLimits"]


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection and its requests."""

    max_header_bytes: int = 65_536
    """Request line and headers together; more is answered with 431."""

    max_headers: int = 128
    """Header lines of one request; more is answered with 431."""

    max_body_bytes: int = 16 * 1024 * 1024
    """Body of one request; more is answered with 413, if possible before it came."""

    max_pipelined: int = 64
    """Unanswered requests of one connection past which it is not read further."""

    keep_alive_timeout_s: float = 75.0
    """Seconds after which a connection without a request is closed."""

    request_timeout_s: float = 30.0
    """Seconds from a request's first byte to its last; later is answered with 408.

    Also how long a client may leave an answer unread without taking a byte of it.
    """

    linger_s: float = 2.0
    """Seconds for which bytes are read and dropped after a refusal, so that the
    answer reaches the client before a reset does; and for which a drain waits for
    the first request of a connection that has not sent one yet."""
