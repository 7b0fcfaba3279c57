"""Are the rows of clients that hang up still computed?

A model of 50 ms for up to 8 rows. Waiting clients fill its queue; then 64 more send one
row each, and their connections are reset while they wait. The server's metrics before
and after count the rows that the model computed.
"""

import socket
import struct
import time

from benchmarks.report import Criterion, arguments, show
from benchmarks.server import Server
from headway.tools.open_loop.connections import (
    address,
    answer_bytes,
    request_bytes,
    status_of,
)

_CONFIG = "runners: {resources: {cpu: 1}, batching: {max_batch_size: 8}}"
_BODY = "[[1.0]]"
_PATIENT = 64
_KILLED = 64
_SHARE = 0.02
_WAIT_S = 10.0
_POLL_S = 0.005
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER, so that a close sends RST instead of FIN."""
_GIVEN = "headway_runner_rows_total"
_WASTED = "headway_wasted_rows_total"
_CANCELLED = "headway_cancelled_rows_total"


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=1)
    with Server("models:slow", config=_CONFIG) as server:
        rows = [_round(server) for _ in range(options.runs)]
    criteria = []
    for name in ("computed for the killed", "wasted"):
        share = sum(row[name] for row in rows) / (_KILLED * len(rows))
        claim = f"rows {name} over rows of the killed < {_SHARE}"
        criteria.append(Criterion(claim, share, share < _SHARE))
    show("clients killed while they wait", rows, options.json, criteria)


def _round(server: Server) -> dict[str, float]:
    before = _count(server)
    patient = [_ask(server) for _ in range(_PATIENT)]
    killed = [_ask(server) for _ in range(_KILLED)]
    _wait_in_progress(server, _PATIENT + _KILLED)
    for connection in killed:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.close()
    answered = sum(_status(connection) == 200 for connection in patient)
    # It waits until all remaining rows of the others are computed.
    server.ask("POST", "/predict", _BODY)
    after = _count(server)
    given, wasted, cancelled = (after[name] - before[name] for name in after)
    return {
        "patient": _PATIENT,
        "answered": answered,
        "killed": _KILLED,
        "given to the model": given,
        "computed for the killed": given - answered - 1,
        "wasted": wasted,
        "cancelled": cancelled,
    }


def _count(server: Server) -> dict[str, float]:
    return {name: server.metric(name) for name in (_GIVEN, _WASTED, _CANCELLED)}


def _ask(server: Server) -> socket.socket:
    """Send a request and do not wait."""
    connection = socket.create_connection(address(server.url), timeout=_WAIT_S)
    connection.sendall(request_bytes(server.url, _BODY.encode(), {}))
    return connection


def _wait_in_progress(server: Server, count: int) -> None:
    end = time.monotonic() + _WAIT_S
    while server.metric("headway_requests_in_progress") < count:
        if time.monotonic() > end:
            raise SystemExit("the requests were answered before all had come")
        time.sleep(_POLL_S)


def _status(connection: socket.socket) -> int:
    """Return the status of the answer; 0 if the connection ends before it."""
    data = b""
    with connection:
        while not (length := answer_bytes(data)) or len(data) < length:
            received = connection.recv(4096)
            if not received:
                return 0
            data += received
    return status_of(data)


if __name__ == "__main__":
    main()
