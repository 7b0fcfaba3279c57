"""What do 10,000 idle keep-alive connections cost?

Each has been answered once. The growth of the API workers' proportional set sizes, and
the throughput of 64 busy connections with the idle ones, between runs without them.
"""

import resource
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.memory import pss_mb
from benchmarks.report import Criterion, argument_parser, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.connections import answer_bytes, request_bytes, status_of

_BUSY = 64
_FROM_EACH_ADDRESS = 5000
"""Connections of one of 127.0.0.1, 127.0.0.2, ..., which have about 28,000 ports."""
_ANSWER_S = 10.0
_READ_BYTES = 4096
_KB = 1000


def main() -> None:
    """Run it."""
    parser = argument_parser(__doc__, seconds=4)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count: int = options.connections
    without: list[float] = []
    beside: list[float] = []
    grown = 0.0
    with Server("models:logistic") as server:
        for _ in range(options.runs):
            without.append(_throughput(server, options.seconds))
            before = _workers_mb(server)
            with _idle(server, count):
                # At the first run only: the next ones find the memory still there.
                grown = max(grown, _workers_mb(server) - before)
                beside.append(_throughput(server, options.seconds))
            without.append(_throughput(server, options.seconds))
    each_kb = grown * 2**20 / _KB / count
    ratio = statistics.median(beside) / statistics.median(without)
    rows = [
        {"idle connections": 0, "rps": statistics.median(without), "KB each": 0.0},
        {
            "idle connections": count,
            "rps": statistics.median(beside),
            "KB each": each_kb,
        },
    ]
    criteria = [
        Criterion("memory of a connection <= 20 KB", each_kb, each_kb <= 20),
        Criterion("throughput with over without >= 0.95", ratio, ratio >= 0.95),
    ]
    title = f"logistic regression, {_BUSY} busy connections, medians of the runs"
    show(title, rows, options.json, criteria)


def _throughput(server: Server, seconds: int) -> float:
    return run_wrk(server.url, connections=_BUSY, seconds=seconds, body=FLOWER).rps


def _workers_mb(server: Server) -> float:
    return sum(
        pss_mb(pid)
        for name, pid in server.processes().items()
        if name.startswith("api-")
    )


@contextmanager
def _idle(server: Server, count: int) -> Iterator[None]:
    """Hold connections that have been answered.

    Raises:
        SystemExit: If one of them is not.
    """
    request = request_bytes(server.url, FLOWER.encode(), {})
    with ExitStack() as stack:
        for number in range(count):
            source = f"127.0.0.{1 + number // _FROM_EACH_ADDRESS}"
            connection = socket.create_connection(
                ("127.0.0.1", server.port), _ANSWER_S, source_address=(source, 0)
            )
            stack.enter_context(connection)
            connection.sendall(request)
            answer = b""
            while not (whole := answer_bytes(answer)) or len(answer) < whole:
                received = connection.recv(_READ_BYTES)
                if not received:
                    raise SystemExit("the server hung up on a new connection")
                answer += received
            if status_of(answer) != 200:
                raise SystemExit(f"the server answered {status_of(answer)}")
        yield


if __name__ == "__main__":
    main()
