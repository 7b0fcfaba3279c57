"""What do the metrics and an open live page cost?

Logistic regression on iris, whose calls are very cheap, at 512 connections, in turns:
normal; with a client that fetches the live page's data each second, as the page does;
and with counting turned off. A few per cent are within the noise of such runs, so the
cost of counting a request is also measured alone.
"""

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from benchmarks.report import Criterion, arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import Load, run_wrk
from headway.metrics import MetricsRegistry
from headway.metrics.families import (
    REQUEST_DURATION,
    REQUESTS,
    REQUESTS_IN_PROGRESS,
)
from headway.server.placement import available_cores

_CONNECTIONS = 512
_CONFIG = "api_server: {timeout: 60}\nrunners: {resources: {cpu: 1}}"
_MICRO_ROUNDS = 200_000
_CASES = ("counted", "counted, page open", "not counted")


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=5)
    loads: dict[str, list[Load]] = {case: [] for case in _CASES}
    answers: list[float] = []
    with (
        Server("models:logistic", config=_CONFIG) as counted,
        Server("uncounted:logistic", config=_CONFIG) as uncounted,
    ):
        for number in range(options.runs):
            # In another order each time, so that other work affects all equally.
            for at in range(len(_CASES)):
                case = _CASES[(number + at) % len(_CASES)]
                server = uncounted if case == "not counted" else counted
                with _page(server, answers, is_open=case == _CASES[1]):
                    loads[case].append(_load(server, options.seconds))
    rates = {case: _median(runs) for case, runs in loads.items()}
    request_ns = _request_ns()
    rows = [
        {
            "server": case,
            "rps": rates[case],
            "slowest": min(load.rps for load in loads[case]),
            "fastest": max(load.rps for load in loads[case]),
            "p50 ms": statistics.median(load.p50_ms for load in loads[case]),
            "p99 ms": statistics.median(load.p99_ms for load in loads[case]),
            "failures": sum(load.failures for load in loads[case]),
        }
        for case in _CASES
    ]
    counting = 1 - rates["counted"] / rates["not counted"]
    opening = 1 - rates["counted, page open"] / rates["counted"]
    own = request_ns * 1e-9 * rates["counted"] / available_cores()
    criteria = [
        Criterion("throughput lost to counting < 0.02", counting, counting < 0.02),
        Criterion(
            "a core's share that a request's counting takes < 0.02", own, own < 0.02
        ),
        Criterion("throughput lost to an open page < 0.02", opening, opening < 0.02),
    ]
    show(f"logistic, {_CONNECTIONS} connections", rows, options.json, criteria)
    print(f"\ncounting one request: {request_ns:,.0f} ns")
    if answers:
        print(f"the page's data under load: median {statistics.median(answers):.1f} ms")


def _load(server: Server, seconds: int) -> Load:
    return run_wrk(server.url, connections=_CONNECTIONS, seconds=seconds, body=FLOWER)


def _median(runs: list[Load]) -> float:
    return statistics.median(load.rps for load in runs)


@contextmanager
def _page(server: Server, answers: list[float], *, is_open: bool) -> Iterator[None]:
    """Fetch the page's data each second, or not."""
    over = threading.Event()

    def fetch() -> None:
        newest = 0
        while True:
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("GET", f"/-/live/data?since={newest}")
            newest = msgspec.json.decode(connection.getresponse().read())["newest"]
            connection.close()
            answers.append((time.perf_counter() - began) * 1e3)
            if over.wait(1.0):
                return

    thread = threading.Thread(target=fetch)
    if is_open:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if is_open:
            thread.join()


def _request_ns() -> float:
    """Return the time of counting one request, counted one at a time."""
    registry = MetricsRegistry()
    registry.start()
    in_progress = registry.gauge(REQUESTS_IN_PROGRESS, ("/predict",))
    answered = registry.counter(REQUESTS, ("/predict", "200"))
    duration = registry.histogram(REQUEST_DURATION, ("/predict",))

    def count() -> None:
        in_progress.set(1)
        in_progress.set(0)
        answered.add()
        duration.observe(0.004)

    return _nanoseconds(count)


def _nanoseconds(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    for _ in range(_MICRO_ROUNDS):
        step()
    return (time.perf_counter() - began) / _MICRO_ROUNDS * 1e9


if __name__ == "__main__":
    main()
