"""What Headway promises of its batching, and whether the outcomes keep it.

The report shows it; the tests hold a smaller catalogue to it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from benchmarks.simulation.bounds import best_goodput, ideal_throughput, load
from benchmarks.simulation.case import Case
from benchmarks.simulation.contenders import HEADWAY, NEVER_WAIT, OPTIMUM
from benchmarks.simulation.outcome import Outcome

__all__ = ["CLAIMS", "Standing", "Verdict", "compare", "judge"]

CLAIMS: Final = {
    "optimum": "mean latency / optimum's mean latency, Poisson arrivals",
    "goodput": "goodput / another policy's goodput",
    "latency": "mean latency / another policy's, if both served the same",
    "gather": "throughput / never-wait's throughput, closed loops with an ideal gain "
    "of at least 1.6",
    "overload": "goodput / best achievable goodput, at twice the capacity and more",
    "starvation": "smallest served share of a priority class, at ten times the "
    "capacity",
}
_SAME: Final = 0.01
"""Goodputs, latencies and shares turned away that differ by less are the same."""
_LEAST_SHARE: Final = 0.001


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One claim about one case."""

    claim: str
    case: str
    rival: str
    value: float
    bound: float
    is_floor: bool
    """Whether the bound is the least that the value may be, or the most."""

    @property
    def holds(self) -> bool:
        """Whether the value keeps to the bound."""
        return self.value >= self.bound if self.is_floor else self.value <= self.bound


class Standing(msgspec.Struct, frozen=True):
    """How one outcome compares with another: by goodput, or else by mean latency."""

    goodput: float
    """In proportion to the other's."""
    latency: float | None
    """In proportion to the other's; None if they did not serve the same."""

    @property
    def word(self) -> str:
        """Return better, same or worse."""
        if abs(self.goodput - 1) > _SAME:
            return "better" if self.goodput > 1 else "worse"
        if self.latency is None or abs(self.latency - 1) <= _SAME:
            return "same"
        return "better" if self.latency < 1 else "worse"


def compare(ours: Outcome, theirs: Outcome) -> Standing:
    """Return how the first stands beside the second.

    Latencies are compared only if both served the same: a policy that turns requests
    away answers the rest sooner.
    """
    goodput = ours.goodput / theirs.goodput if theirs.goodput else float("inf")
    same = (
        abs(goodput - 1) <= _SAME
        and abs(ours.turned_away - theirs.turned_away) <= _SAME
    )
    if not same or ours.mean_ms is None or theirs.mean_ms is None:
        return Standing(goodput, None)
    return Standing(goodput, ours.mean_ms / theirs.mean_ms)


def judge(
    cases: Iterable[Case], outcomes: Mapping[tuple[str, str], Outcome]
) -> Iterator[Verdict]:
    """Yield a verdict for each claim about each case that was run."""
    for case in cases:
        ours = outcomes.get((case.name, HEADWAY))
        if ours is None:
            continue
        rivals = {
            policy: outcome
            for (name, policy), outcome in outcomes.items()
            if name == case.name and policy != HEADWAY
        }
        optimum = rivals.pop(OPTIMUM, None)
        if optimum is not None and optimum.mean_ms and ours.mean_ms:
            yield Verdict(
                claim="optimum",
                case=case.name,
                rival=OPTIMUM,
                value=ours.mean_ms / optimum.mean_ms,
                bound=1.05,
                is_floor=False,
            )
        yield from _over_rivals(ours, rivals)
        yield from _over_bounds(case, ours, rivals)


def _over_rivals(ours: Outcome, rivals: Mapping[str, Outcome]) -> Iterator[Verdict]:
    for rival, theirs in rivals.items():
        standing = compare(ours, theirs)
        yield Verdict(
            claim="goodput",
            case=ours.case,
            rival=rival,
            value=standing.goodput,
            bound=0.99,
            is_floor=True,
        )
        if standing.latency is not None:
            yield Verdict(
                claim="latency",
                case=ours.case,
                rival=rival,
                value=standing.latency,
                bound=1.03,
                is_floor=False,
            )


def _over_bounds(
    case: Case, ours: Outcome, rivals: Mapping[str, Outcome]
) -> Iterator[Verdict]:
    if case.family == "closed" and NEVER_WAIT in rivals:
        never = rivals[NEVER_WAIT].goodput
        if ideal_throughput(case) / never >= 1.6:
            yield Verdict(
                claim="gather",
                case=case.name,
                rival=NEVER_WAIT,
                value=ours.goodput / never,
                bound=1.4,
                is_floor=True,
            )
    if case.family == "overload" and load(case) >= 2:
        yield Verdict(
            claim="overload",
            case=case.name,
            rival="capacity",
            value=ours.goodput / best_goodput(case),
            bound=0.97,
            is_floor=True,
        )
    if case.family == "priority":
        yield Verdict(
            claim="starvation",
            case=case.name,
            rival="0",
            value=min(ours.served_shares.values()),
            bound=_LEAST_SHARE,
            is_floor=True,
        )
