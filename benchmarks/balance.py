"""What do clients on one API worker gain if connections move to idle workers?

Closed loops on connections of one worker of two; the function takes 0.5 ms. Servers
with and without `balance` take turns, and are measured once connections could move.
New connections are shared evenly, so the others are closed first.
"""

import itertools
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.report import argument_parser, show
from benchmarks.server import Server
from headway.tools.open_loop.connections import answer_bytes, request_bytes, status_of

_CONFIG = "api_server: {{workers: 2, balance: {}}}"
_ANSWER_S = 60.0
_READ_BYTES = 4096
_SETTLE_S = 4.0
_CONNECTIONS = (2, 8)


def main() -> None:
    """Run it."""
    options = argument_parser(__doc__, seconds=4).parse_args()
    cases = list(itertools.product(_CONNECTIONS, (False, True)))
    rates: dict[tuple[int, bool], list[float]] = {case: [] for case in cases}
    moved: dict[tuple[int, bool], float] = {}
    for _ in range(options.runs):
        for case in cases:
            count, balance = case
            with Server("costly:svc", config=_CONFIG.format(str(balance).lower())) as s:
                with _on_one_worker(s, count) as connections:
                    rates[case].append(_closed_loop(s, connections, options.seconds))
                moved[case] = s.metric("headway_connections_moved_total")
    rows = []
    for count, balance in cases:
        rps = statistics.median(rates[count, balance])
        rows.append(
            {
                "connections": count,
                "balance": balance,
                "rps": rps,
                "over without": rps / statistics.median(rates[count, False]),
                "moved": int(moved[count, balance]),
            }
        )
    show("connections on one worker of two, medians of the runs", rows, options.json)


@contextmanager
def _on_one_worker(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connect until a worker has `count` connections, and close the others."""
    request = request_bytes(server.url, b"1", {})
    by_worker: dict[int, list[socket.socket]] = {}
    with ExitStack() as stack:
        while True:
            made = socket.create_connection(("127.0.0.1", server.port), _ANSWER_S)
            stack.enter_context(made)
            mine = by_worker.setdefault(_ask(made, request), [])
            mine.append(made)
            if len(mine) == count:
                break
        for others in by_worker.values():
            if others is not mine:
                for other in others:
                    other.close()
        yield mine


def _ask(connection: socket.socket, request: bytes) -> int:
    """Return the process that answered.

    Raises:
        SystemExit: If the answer is not a 200.
    """
    connection.sendall(request)
    answer = b""
    while not (whole := answer_bytes(answer)) or len(answer) < whole:
        received = connection.recv(_READ_BYTES)
        if not received:
            raise SystemExit("the server hung up")
        answer += received
    if status_of(answer) != 200:
        raise SystemExit(f"the server answered {status_of(answer)}")
    return int(json.loads(answer[answer.index(b"\r\n\r\n") :])[1])


def _closed_loop(
    server: Server, connections: list[socket.socket], seconds: float
) -> float:
    """Ask on each connection as soon as it is answered; return requests per second."""
    request = request_bytes(server.url, b"1", {})
    answered = [0] * len(connections)
    end = time.monotonic() + _SETTLE_S + seconds

    def ask_on(number: int) -> None:
        while time.monotonic() < end:
            _ask(connections[number], request)
            answered[number] += 1

    threads = [
        threading.Thread(target=ask_on, args=(number,))
        for number in range(len(connections))
    ]
    for thread in threads:
        thread.start()
    time.sleep(_SETTLE_S)
    before = sum(answered)
    for thread in threads:
        thread.join()
    return (sum(answered) - before) / seconds


if __name__ == "__main__":
    main()
