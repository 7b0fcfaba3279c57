"""Mean and quantiles of what a histogram has counted in a while.

observability/live/second calls it with the differences of a histogram's cells.
"""

from collections.abc import Sequence
from itertools import accumulate

import msgspec

__all__ = ["Spread", "quantile", "spread"]


class Spread(msgspec.Struct, frozen=True, array_like=True):
    """How observations are spread, in milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float


def quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float:
    """Return what that share of the observations does not exceed.

    Within a bucket they are taken to be spread evenly, as Prometheus does; what is
    above all bounds counts as the last of them.

    Args:
        buckets: Observations by bucket, at least one in all: one for each bound and
            one for what is above.
        bounds: Upper bounds, rising.
        share: Above 0, up to 1.
    """
    wanted = share * sum(buckets)
    below = 0
    for at, total in enumerate(accumulate(buckets[:-1])):
        if total >= wanted:
            lower = bounds[at - 1] if at else 0.0
            inside = (wanted - below) / (total - below)
            return lower + inside * (bounds[at] - lower)
        below = total
    return bounds[-1]


def spread(cells: Sequence[int], bounds: Sequence[float], scale: int) -> Spread | None:
    """Return the spread of a histogram of seconds; None if it has no observation.

    Args:
        cells: Its buckets and its sum.
        bounds: Of the buckets.
        scale: Of the sum.
    """
    *buckets, total = cells
    count = sum(buckets)
    if not count:
        return None
    p50, p90, p99 = (
        round(1000 * quantile(buckets, bounds, share), 3) for share in (0.5, 0.9, 0.99)
    )
    return Spread(round(1000 * total / scale / count, 3), p50, p90, p99)
