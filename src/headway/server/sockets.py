"""Makes the listening sockets that outlive the processes behind them.

The supervisor keeps them: while a worker is started again, clients wait in the kernel's
queue instead of being refused.
"""

import errno
import logging
import resource
import socket

from headway.errors import PortTakenError, StartError
from headway.ipc.unix import unix_socket

__all__ = ["allow_connections", "bind_http", "bind_unix", "url_of"]

_log = logging.getLogger(__name__)
_UNIX_BACKLOG = 1024


def allow_connections() -> None:
    """Raise this process's limit of open files, and its children's, to the hard one.

    Each connection is an open file, and the soft limit is often 1,024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        # macOS refuses "unlimited" as a soft limit.
        _log.debug("the limit of open files stays as it is: %s", error)


def bind_http(host: str, port: int, count: int) -> list[socket.socket]:
    """Return `count` sockets bound to one address, which share it by SO_REUSEPORT.

    Raises:
        PortTakenError: If another process listens there.
        StartError: If the address cannot be bound for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        # Without SO_REUSEPORT first: with it, a second server of the same user would
        # silently take half of the first one's connections.
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        for _ in range(count):
            made = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((host, port))
    except OSError as error:
        for made in sockets:
            made.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"port {port} on {host} is taken by another process: stop that one, or "
                "choose another port with --port"
            ) from error
        raise StartError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose "
            "another with --host and --port"
        ) from error
    return sockets


def url_of(bound: socket.socket, host: str, *, tls: bool) -> str:
    """Return where a browser on this machine finds a server.

    Args:
        bound: One of its sockets, for the port.
        host: As configured.
        tls: Whether it speaks HTTPS.
    """
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    scheme = "https" if tls else "http"
    return f"{scheme}://{host}:{bound.getsockname()[1]}"


def bind_unix(path: str) -> socket.socket:
    """Return a Unix socket that listens.

    Raises:
        StartError: If the path cannot be used.
    """
    made = unix_socket()
    try:
        made.bind(path)
        made.listen(_UNIX_BACKLOG)
    except OSError as error:
        made.close()
        raise StartError(
            f"cannot make the socket {path}: {error}; point TMPDIR to a folder with a "
            "short path that can be written to"
        ) from error
    return made
