"""The production scheduler keeps its promises, on shorter runs of some cases.

The whole catalogue takes a quarter of an hour: `scripts/bench simulation run`.
"""

import math

import msgspec
import pytest
from benchmarks.simulation.case import Case
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CONTENDERS, OPTIMUM
from benchmarks.simulation.outcome import Outcome, run
from benchmarks.simulation.record import RECORD, Outcomes, read
from benchmarks.simulation.verdict import Verdict, judge

REQUESTS = 25_000
STANDARD_ERRORS = 3.0
CHOSEN = (
    "poisson/forest/0.5",
    "poisson/small/0.8",
    "poisson/linear/0.9",
    "poisson/gpu/0.7",
    "closed/forest/16",
    "closed/forest/256",
    "thinking/gpu/16x5ms",
    "bursty/small/0.7",
    "mixed/forest/poisson+16",
    "replicas/gpu/4x0.5",
    "overload/forest/2x18ms",
)
MORE = (
    *(f"poisson/forest/{load}" for load in (0.1, 0.8)),
    "poisson/small/0.3",
    "poisson/linear/0.5",
    "poisson/gpu/0.3",
    "poisson/uneven/0.7",
    "poisson/stalling/0.5",
    "closed/forest/1",
    "closed/small/16",
    "closed/gpu/32",
    "closed/linear/8",
    "onoff/forest/20on30off",
    "replicas/forest/4x32clients",
    "overload/small/2x17ms",
    "overload/gpu/2x68ms",
)


def shorter(case: Case) -> Case:
    """Return a case of fewer requests."""
    seconds = min(case.seconds, max(REQUESTS / case.capacity, 0.5))
    return msgspec.structs.replace(case, seconds=seconds, warm_up_s=1.0)


def slack(verdict: Verdict, outcomes: Outcomes) -> float:
    """Return what chance may add to a ratio of two means, in proportion.

    The means of a short run are uncertain. That both policies had the same arrivals
    makes the ratio less so, which is left out: this is on the safe side.
    """
    errors = [
        (outcome.error_ms or 0.0) / (outcome.mean_ms or math.inf)
        for (_, policy), outcome in outcomes.items()
        if policy in ("headway", verdict.rival)
    ]
    return STANDARD_ERRORS * math.hypot(*errors)


def outcomes_of(case: Case) -> Outcomes:
    """Run all policies; the exact mean of the optimum is on record."""
    outcomes = {(case.name, policy): run(case, policy) for policy in CONTENDERS}
    if case.family == "poisson":
        exact_ms = read(RECORD)[case.name, OPTIMUM].exact_ms
        outcomes[case.name, OPTIMUM] = Outcome(
            case=case.name, policy=OPTIMUM, mean_ms=exact_ms
        )
    return outcomes


@pytest.mark.parametrize(
    "name", [*CHOSEN, *(pytest.param(name, marks=pytest.mark.soak) for name in MORE)]
)
def test_promises_are_kept(name: str) -> None:
    case = shorter(CASES[name])
    outcomes = outcomes_of(case)
    verdicts = list(judge([case], outcomes))
    assert len(verdicts) >= len(CONTENDERS) - 1
    broken = [
        verdict
        for verdict in verdicts
        if not verdict.holds
        and not (
            verdict.claim in ("latency", "optimum")
            and verdict.value <= verdict.bound + slack(verdict, outcomes)
        )
    ]
    assert broken == []


def test_no_class_starves() -> None:
    case = shorter(CASES["priority/small/10x1s"])
    outcome = run(case, "headway")
    verdicts = judge([case], {(case.name, "headway"): outcome})
    assert [(one.claim, one.holds) for one in verdicts] == [("starvation", True)]
