"""What a run found: the record that is kept as JSON, a line for each case and policy.

The time is virtual, so the figures are the same on every machine.
"""

import math
import statistics

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.simulation.bounds import optimum, rate
from benchmarks.simulation.case import Case, simulate
from benchmarks.simulation.contenders import CONTENDERS, OPTIMUM
from benchmarks.simulation.meter import Meter
from benchmarks.simulation.optimal import Optimal

__all__ = ["Outcome", "run", "run_optimum"]

_PARTS = 20
"""Of a run, whose means tell how far the mean of all may be off."""
_DIGITS = 5


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy on a case. Times and rates are of the measured part of the run."""

    case: str
    policy: str
    offered: int = 0
    """Requests of the whole run, as are the next three."""
    answered: int = 0
    refused: int = 0
    dropped: int = 0
    overdue: int = 0
    """Answers that came past their deadline."""
    goodput: float = 0.0
    """Rows per second that were answered by their deadline."""
    mean_ms: float | None = None
    """Latency of the answers; none if there were none."""
    error_ms: float | None = None
    """Standard error of that mean, by the means of parts of the run."""
    exact_ms: float | None = None
    """The mean of infinitely many, where it is known."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    batch_rows: float = 0.0
    """Mean rows of a batch."""
    held_ms: float = 0.0
    """Mean time, for each batch, that a replica stood idle while something waited."""
    served_shares: dict[str, float] = {}
    """By class of priority: requests answered in time, of those that came."""

    @property
    def turned_away(self) -> float:
        """The share of the requests that got an error."""
        return (self.refused + self.dropped) / self.offered


def run(case: Case, policy: str) -> Outcome:
    """Run a policy on a case and return what it found."""
    return _outcome(case, policy, simulate(case, CONTENDERS[policy](case)))


def run_optimum(case: Case) -> Outcome:
    """Solve a case of Poisson arrivals, and run the best policy on it."""
    best = optimum(case)
    policy = Optimal(batch_rows=best.batch_rows, rate=rate(case))
    outcome = _outcome(case, OPTIMUM, simulate(case, policy))
    exact_ms = _round(1e3 * best.mean_latency_s)
    return msgspec.structs.replace(outcome, exact_ms=exact_ms)


def _outcome(case: Case, policy: str, meter: Meter) -> Outcome:
    latencies_ms = np.frombuffer(meter.latencies) * 1e3
    is_measured = len(latencies_ms) > 0
    batches = max(meter.batches, 1)
    return Outcome(
        case=case.name,
        policy=policy,
        offered=meter.offered,
        answered=meter.answered,
        refused=meter.refused,
        dropped=meter.dropped,
        overdue=meter.overdue,
        goodput=_round(meter.goodput),
        mean_ms=_round(latencies_ms.mean()) if is_measured else None,
        error_ms=_standard_error(latencies_ms),
        p50_ms=_round(np.quantile(latencies_ms, 0.5)) if is_measured else None,
        p99_ms=_round(np.quantile(latencies_ms, 0.99)) if is_measured else None,
        batch_rows=_round(meter.batch_rows / batches),
        held_ms=_round(meter.held_s * 1e3 / batches),
        served_shares=_served_shares(meter) if case.family == "priority" else {},
    )


def _standard_error(latencies_ms: npt.NDArray[np.float64]) -> float | None:
    if len(latencies_ms) < 2 * _PARTS:
        return None
    means = [float(part.mean()) for part in np.array_split(latencies_ms, _PARTS)]
    return _round(statistics.stdev(means) / math.sqrt(_PARTS))


def _served_shares(meter: Meter) -> dict[str, float]:
    return {
        str(priority): _round(meter.served_by_class[priority] / offered)
        for priority, offered in sorted(meter.offered_by_class.items())
    }


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
