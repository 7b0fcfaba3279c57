"""What does the gather window gain, and what does it cost where it gains nothing?

Two servers of the forest, one with the window and one without, are loaded in turns, so
that other work on the machine affects both equally. Closed loop by wrk at several
numbers of connections; then Poisson traffic at shares of the capacity, with 32 rows per
batch so that the model limits the capacity.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from benchmarks.forest import COMMON
from benchmarks.report import Criterion, argument_parser, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.traffic import Phase, Traffic, send

_GAINS = (16, 64)
"""Connections at which the window must gain; elsewhere it must not lose."""


class _Run(msgspec.Struct, frozen=True):
    """One server under one load."""

    per_s: float
    mean_ms: float
    p50_ms: float
    failures: int
    """Requests without a 200."""


class _Pair(msgspec.Struct, frozen=True):
    """Both servers under the same load, one after the other."""

    window: _Run
    forbidden: _Run

    @property
    def gain(self) -> float:
        """Factor by which the window shortens the mean latency.

        In a closed loop, it is the ratio of the throughputs.
        """
        return self.forbidden.mean_ms / self.window.mean_ms


def main() -> None:
    """Run it."""
    options = _arguments()
    pairs: dict[str, list[_Pair]] = {}
    if options.connections:
        loads = {
            f"{count} connections": _closed(count) for count in options.connections
        }
        pairs |= _measure(1000, loads, options)
    if options.shares:
        capacity = options.capacity or _capacity()
        print(f"capacity with 32 rows a batch: {capacity:,.0f}/s")
        loads = {
            f"Poisson, {share:g} of capacity": _poisson(share * capacity)
            for share in options.shares
        }
        pairs |= _measure(32, loads, options)
    rows = [_row(load, runs) for load, runs in pairs.items()]
    criteria = [criterion for row in rows for criterion in _criteria(row)]
    title = "forest, medians of the runs; the gain is that of each pair of runs"
    show(title, rows, options.json, criteria)


def _arguments() -> argparse.Namespace:
    parser = argument_parser(__doc__, seconds=4)
    parser.add_argument(
        "--connections", type=int, nargs="*", default=[1, 16, 64, 256, 512]
    )
    parser.add_argument(
        "--shares",
        type=float,
        nargs="*",
        default=[0.3, 0.6, 0.9],
        help="shares of the capacity, for Poisson traffic",
    )
    parser.add_argument("--capacity", type=float, help="requests/s; default: measured")
    return parser.parse_args()


_Load = Callable[[Server, int], _Run]


def _closed(connections: int) -> _Load:
    def run(server: Server, seconds: int) -> _Run:
        load = run_wrk(
            server.url, connections=connections, seconds=seconds, body=FLOWER
        )
        mean_ms = connections / load.rps * 1e3
        return _Run(load.rps, mean_ms, load.p50_ms, load.failures)

    return run


def _poisson(per_s: float) -> _Load:
    def run(server: Server, seconds: int) -> _Run:
        phase = Phase(per_s, seconds)
        outcomes = send(
            Traffic(
                url=server.url,
                phases=(phase,),
                body=FLOWER.encode(),
                deadline_ms=10_000,
            )
        )
        answered = outcomes.latency_s[outcomes.status == 200]
        return _Run(
            per_s=len(answered) / seconds,
            mean_ms=float(np.mean(answered)) * 1e3,
            p50_ms=outcomes.median_ok_ms,
            failures=len(outcomes.status) - len(answered),
        )

    return run


def _measure(
    max_batch_size: int, loads: dict[str, _Load], options: argparse.Namespace
) -> dict[str, list[_Pair]]:
    batching = f"{{enabled: true, max_batch_size: {max_batch_size}"
    pairs: dict[str, list[_Pair]] = {}
    with (
        Server("models:forest", config=f"{COMMON}{batching}}}}}") as window,
        Server(
            "models:forest", config=f"{COMMON}{batching}, max_wait_ms: 0}}}}"
        ) as none,
    ):
        for i in range(options.runs):
            for name, load in loads.items():
                # Each is first in every second run.
                servers = (window, none) if i % 2 == 0 else (none, window)
                runs = {server: load(server, options.seconds) for server in servers}
                pairs.setdefault(name, []).append(_Pair(runs[window], runs[none]))
    return pairs


def _capacity() -> float:
    config = COMMON + "{enabled: true, max_batch_size: 32}}"
    with Server("models:forest", config=config) as server:
        return run_wrk(server.url, connections=256, seconds=4, body=FLOWER).rps


def _row(load: str, pairs: list[_Pair]) -> dict[str, Any]:
    def median(figure: Callable[[_Pair], float]) -> float:
        return statistics.median(figure(pair) for pair in pairs)

    return {
        "load": load,
        "window /s": median(lambda pair: pair.window.per_s),
        "forbidden /s": median(lambda pair: pair.forbidden.per_s),
        "window mean ms": median(lambda pair: pair.window.mean_ms),
        "forbidden mean ms": median(lambda pair: pair.forbidden.mean_ms),
        "gain": median(lambda pair: pair.gain),
        "window p50 ms": median(lambda pair: pair.window.p50_ms),
        "forbidden p50 ms": median(lambda pair: pair.forbidden.p50_ms),
        "p50 ratio": median(lambda pair: pair.window.p50_ms / pair.forbidden.p50_ms),
        "failures": sum(p.window.failures + p.forbidden.failures for p in pairs),
    }


def _criteria(row: dict[str, Any]) -> list[Criterion]:
    load, gain, p50 = row["load"], row["gain"], row["p50 ratio"]
    if load not in {f"{connections} connections" for connections in _GAINS}:
        return [Criterion(f"{load}: gain >= 0.97", gain, gain >= 0.97)]
    return [
        Criterion(f"{load}: gain >= 1.35", gain, gain >= 1.35),
        Criterion(f"{load}: p50 lower", p50, p50 < 1),
    ]


if __name__ == "__main__":
    main()
