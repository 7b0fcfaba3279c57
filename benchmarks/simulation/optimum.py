"""The least mean latency that any policy can have, for Poisson arrivals."""

import math
from collections.abc import Callable, Sequence

__all__ = ["optimal_mean_latency_s"]


def optimal_mean_latency_s(
    *,
    service: Callable[[int], Sequence[tuple[float, float]]],
    rate: float,
    max_rows: int,
) -> float:
    """Return the mean latency of the optimal policy; NaN as it is not there yet."""
    return math.nan
