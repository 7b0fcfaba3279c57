"""Makes the listening sockets that outlive the processes behind them.

The supervisor keeps them. A dead API worker holds up no new connection, as the others
accept from the same socket; without others, clients wait in the kernel's queue.
"""

import ctypes
import errno
import logging
import resource
import socket
import struct

from headway.config.schema import ApiServerConfig
from headway.errors import PortTakenError, StartError
from headway.ipc.unix import unix_socket

_log = logging.getLogger(__name__)
_UNIX_BACKLOG = 1024
_SO_ATTACH_FILTER = 26  # Linux; Python's socket module does not name it


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


def bind_http(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; the API workers accept from it together.

    Raises:
        PortTakenError: If another process listens there.
        StartError: If the address cannot be bound for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"port {port} on {host} is taken by another process: stop that one, or "
                "choose another port with --port"
            ) from error
        raise StartError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose "
            "another with --host and --port"
        ) from error
    return bound


def refuse_handshakes(listener: socket.socket) -> None:
    """Let the kernel complete no new handshake on a listening socket; its queue stays.

    Called before the last process drains the socket: the queue can then only shrink,
    and a client that connects later sends its packet again, to a closed port. Elsewhere
    than on Linux a few connections can be reset.
    """
    # struct sock_fprog with the one instruction `ret 0`, which keeps no byte.
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return


def url_of(bound: socket.socket, config: ApiServerConfig) -> str:
    """Return where a browser on this machine finds a server with this socket."""
    host = config.host
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    scheme = "https" if config.ssl_certfile is not None else "http"
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
