"""How much is still answered in time when two and four times too much comes?

The forest with 32 rows a batch, so that the model sets the capacity. Poisson traffic
with a deadline of 1 s at around the capacity, to find the peak; then at twice and four
times the peak; then four times between two calm phases, for the recovery.
"""

import math

from benchmarks.forest import COMMON
from benchmarks.report import Verdict, arguments, show
from benchmarks.server import FLOWER, Server
from benchmarks.wrk import run_wrk
from headway.tools.open_loop.traffic import Outcomes, Phase, Summary, Traffic, send

__all__ = ["CONFIG", "recovered_after_s"]

CONFIG = COMMON + "{enabled: true, max_batch_size: 32}}"
_CONNECTIONS = 8000
_AROUND = (0.8, 0.9, 1.0, 1.1)
_STEP_S = 0.1
_STEPS = 5
"""Steps in a row that have to be normal again, so that no lucky one counts."""
_NORMAL = 1.5
"""A median latency up to so many times that before the overload is normal."""


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
    verdicts = _verdicts(found, medians, sorted(recoveries)[len(recoveries) // 2])
    show("forest, 32 rows a batch, deadline 1 s", rows, options.json, verdicts)


def _steady(server: Server, per_s: float, seconds: float) -> Summary:
    outcomes = _send(server, Phase(per_s, seconds))
    return outcomes.summary(seconds)


def _send(server: Server, *phases: Phase) -> Outcomes:
    # All are opened before, so that the overload is one of requests only.
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
        medians_ms: Of each step of 100 ms since the overload ended.
        normal_ms: The median before it.
    """
    is_normal = [median <= _NORMAL * normal_ms for median in medians_ms]
    for i in range(len(is_normal) - _STEPS + 1):
        if all(is_normal[i : i + _STEPS]):
            return i * _STEP_S
    return math.inf


def _verdicts(
    found: dict[str, list[Summary]], medians: dict[str, Summary], recovery_s: float
) -> list[Verdict]:
    peak = max(summary.in_time_per_s for summary in medians.values())
    twice, four = (medians[f"{factor} x peak"] for factor in (2, 4))
    goodput_2, goodput_4 = (over.in_time_per_s / peak for over in (twice, four))
    refused_ms = max(twice.refused_p99_ms, four.refused_p99_ms)
    silent = sum(run.unanswered + run.lost for runs in found.values() for run in runs)
    unsent = sum(run.not_sent for runs in found.values() for run in runs)
    return [
        Verdict("goodput at 2x over the peak >= 0.95", goodput_2, goodput_2 >= 0.95),
        Verdict("goodput at 4x over the peak >= 0.85", goodput_4, goodput_4 >= 0.85),
        Verdict("p99 of refusals < 50 ms", refused_ms, refused_ms < 50),
        Verdict("normal latency again after < 2 s", recovery_s, recovery_s < 2),
        Verdict("requests without an answer: none", silent, not silent),
        Verdict("requests that could not be sent: none", unsent, not unsent),
    ]


def _median(runs: list[Summary]) -> Summary:
    return sorted(runs, key=lambda run: run.in_time_per_s)[len(runs) // 2]


if __name__ == "__main__":
    main()
