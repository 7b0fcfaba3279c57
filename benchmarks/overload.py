"""How many requests are answered in time at two and four times the capacity?

The forest with 32 rows per batch, so that the model is the limit. Poisson traffic
with a deadline of 1 s at around the capacity, to find the peak; then at twice and four
times the peak; then four times between two calm phases, for the recovery.
"""

import math

from benchmarks.forest import COMMON
from benchmarks.report import Criterion, arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.traffic import Outcomes, Phase, Summary, Traffic, send

__all__ = ["CONFIG", "recovered_after_s"]

CONFIG = COMMON + "{enabled: true, max_batch_size: 32}}"
_CONNECTIONS = 8000
_AROUND = (0.8, 0.9, 1.0, 1.1)
_STEP_S = 0.1
_STEPS = 5
"""Consecutive normal steps that end the recovery, so that one alone does not count."""
_NORMAL = 1.5
"""A median latency up to this multiple of the one before the overload is normal."""


def main() -> None:
    """Run it."""
    options = arguments(__doc__, seconds=10)
    found: dict[str, list[Summary]] = {}
    recoveries = []
    with Server("models:forest", config=CONFIG) as server:
        closed = run_wrk(server.url, connections=256, seconds=4, body=FLOWER)
        print(f"closed loop, 256 connections: {closed.rps:,.0f}/s")
        for _ in range(options.runs):
            steady = {
                f"{share} of that": _steady(server, share * closed.rps, options.seconds)
                for share in _AROUND
            }
            peak = max(summary.in_time_per_s for summary in steady.values())
            for factor in (2, 4):
                name = f"{factor} x peak"
                steady[name] = _steady(server, factor * peak, options.seconds)
            for name, summary in steady.items():
                found.setdefault(name, []).append(summary)
            recoveries.append(_recovery_s(server, peak, options.seconds))
    medians = {name: _median(summaries) for name, summaries in found.items()}
    rows = [{"load": name, **medians[name].row()} for name in medians]
    criteria = _criteria(found, medians, sorted(recoveries)[len(recoveries) // 2])
    show("forest, 32 rows a batch, deadline 1 s", rows, options.json, criteria)


def _steady(server: Server, per_s: float, seconds: float) -> Summary:
    outcomes = _send(server, Phase(per_s, seconds))
    return outcomes.summary(seconds)


def _send(server: Server, *phases: Phase) -> Outcomes:
    # All connections are opened before, so that only requests overload the server.
    traffic = Traffic(
        url=server.url,
        body=FLOWER.encode(),
        phases=phases,
        connections=_CONNECTIONS,
        max_connections=_CONNECTIONS,
    )
    return send(traffic)


def _recovery_s(server: Server, peak: float, seconds: float) -> float:
    calm = Phase(0.5 * peak, seconds / 2)
    outcomes = _send(server, calm, Phase(4 * peak, seconds), calm)
    normal_ms = outcomes.between(0.0, calm.seconds).median_ok_ms
    over = calm.seconds + seconds
    after = outcomes.steps(over, over + calm.seconds, _STEP_S)
    return recovered_after_s([step.median_ok_ms for step in after], normal_ms)


def recovered_after_s(medians_ms: list[float], normal_ms: float) -> float:
    """Return the time until the latency stays normal; infinite if it never does.

    Args:
        medians_ms: Median of each 100 ms since the end of the overload.
        normal_ms: Median before the overload.
    """
    is_normal = [median <= _NORMAL * normal_ms for median in medians_ms]
    for i in range(len(is_normal) - _STEPS + 1):
        if all(is_normal[i : i + _STEPS]):
            return i * _STEP_S
    return math.inf


def _criteria(
    found: dict[str, list[Summary]], medians: dict[str, Summary], recovery_s: float
) -> list[Criterion]:
    peak = max(summary.in_time_per_s for summary in medians.values())
    twice, four = (medians[f"{factor} x peak"] for factor in (2, 4))
    goodput_2, goodput_4 = (over.in_time_per_s / peak for over in (twice, four))
    refused_ms = max(twice.refused_p99_ms, four.refused_p99_ms)
    silent = sum(run.unanswered + run.lost for runs in found.values() for run in runs)
    unsent = sum(run.not_sent for runs in found.values() for run in runs)
    return [
        Criterion("goodput at 2x over the peak >= 0.95", goodput_2, goodput_2 >= 0.95),
        Criterion("goodput at 4x over the peak >= 0.85", goodput_4, goodput_4 >= 0.85),
        Criterion("p99 of refusals < 50 ms", refused_ms, refused_ms < 50),
        Criterion("normal latency again after < 2 s", recovery_s, recovery_s < 2),
        Criterion("requests without an answer: none", silent, not silent),
        Criterion("requests that could not be sent: none", unsent, not unsent),
    ]


def _median(runs: list[Summary]) -> Summary:
    return sorted(runs, key=lambda run: run.in_time_per_s)[len(runs) // 2]


if __name__ == "__main__":
    main()
