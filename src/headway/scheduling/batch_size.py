"""How many of the waiting rows go into the next batch.

The scheduler asks for each batch; it reads the cost model and nothing else.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from headway.scheduling.cost_model import CostModel

__all__ = ["Supply", "rows_in_time", "rows_worthwhile"]

_GIVEN_UP: Final = 0.1
"""Share of the spare throughput that a smaller batch may cost.

Against the optimum (benchmarks/simulation/optimum.py), over constant, affine, nearly
linear, stepwise and heavy-tailed S(n) at loads from 0.1 to 0.95, the mean latency is at
most 3% above it; at 0.25 it is up to 12% above, and at 0 (always all that waits) 9%.
"""
_HIGHEST_SHARED_LOAD: Final = 0.8
"""Load up to which idle replicas share what waits, though that costs throughput."""
_SHARING_GAIN: Final = 0.9
"""They do if each is done in this part of the time that one alone would take."""


class Supply(msgspec.Struct, frozen=True):
    """What there is to compute with."""

    idle: int
    """Replicas that could take a batch now."""
    load: float
    """Share of all replicas that the arriving work keeps busy, up to 1."""


def rows_worthwhile(waiting: int, cap: int, supply: Supply, cost: CostModel) -> int:
    """Return the rows of the next batch if no deadline is near.

    The fewest that keep nearly the best throughput: batches grow as long as rows per
    second rise, but not for the sake of a last few percent, as everyone in a batch
    waits for all of it. The less is spare, the closer to the best it has to be: with L
    rows arriving per second and B the best rate of any batch that could be formed, it
    has to reach L + (1 - _GIVEN_UP) * (B - L).

    Args:
        waiting: Rows that could go now, at least 1.
        cap: Rows in a batch at the most.
        supply: Idle replicas and load.
        cost: S(n); larger batches than it knows are tried.
    """
    most = min(waiting, cap)
    if most > cost.largest:
        return most
    arriving = supply.load * cost.peak_rate(cap)
    # A queue as long as a batch tells of a burst before the demand does.
    burst = most / cap * cost.peak_rate(cap)
    best = cost.peak_rate(most)
    needed = best - _GIVEN_UP * max(best - max(arriving, burst), 0.0)
    rows = cost.fewest_rows(needed, most)
    if supply.idle > 1 and rows > 1:
        rows = _shared(rows, waiting, supply, arriving, cost)
    return rows


def _shared(
    rows: int, waiting: int, supply: Supply, arriving: float, cost: CostModel
) -> int:
    """Return fewer rows, if the other idle replicas take the rest to advantage."""
    needed = arriving / _HIGHEST_SHARED_LOAD
    share = max(-(-waiting // supply.idle), cost.fewest_rows(needed, rows))
    if share < rows and cost.mean(share) < _SHARING_GAIN * cost.mean(rows):
        return share
    return rows


def rows_in_time(
    rows: int, least: int, slack_s: float, supply: Supply, cap: int, cost: CostModel
) -> int:
    """Return the rows of a batch whose first call is due in `slack_s`; 0 for none.

    A smaller batch is done earlier. But under full load it would cost more calls their
    deadline than it saves, so then the first is given up instead.

    Args:
        rows: The batch as it would be without the deadline.
        least: The smallest batch that the first call can go in.
        slack_s: Seconds until that is due.
        supply: Idle replicas and load.
        cap: Rows in a batch at the most.
        cost: S(n).
    """
    if cost.tail(rows) <= slack_s:
        return rows
    arriving = supply.load * cost.peak_rate(cap)
    for seconds in (cost.tail, cost.mean):
        # Surely in time, else likely.
        fit = _most_within(slack_s, rows, seconds)
        if fit == rows or (fit >= least and fit / cost.mean(fit) >= arriving):
            return fit
    return 0


def _most_within(seconds: float, most: int, seconds_of: Callable[[int], float]) -> int:
    """Return the most rows, up to `most`, that take no longer; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if seconds_of(middle) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
