"""What a method's cost model has learned, as gauges for people to look at.

assemble makes one for each method that forms batches; RunnerMeters publishes them.
"""

from collections.abc import Mapping

from headway.metrics import MetricsRegistry
from headway.metrics.families import BATCH_COST_SECONDS
from headway.runner.receiver import MethodLimits
from headway.scheduling.cost_model import CostModel
from headway.scheduling.scheduler import Scheduler

__all__ = ["CostCurve", "curve_sizes", "make_curves"]


def curve_sizes(max_rows: int) -> list[int]:
    """Return the sizes to tell of: 1, 2, 4, ... and the largest."""
    sizes = [1]
    while 2 * sizes[-1] < max_rows:
        sizes.append(2 * sizes[-1])
    return sizes if max_rows == 1 else [*sizes, max_rows]


class CostCurve:
    """S(n) of one method: its mean and its tail, at some sizes.

    Args:
        registry: Keeps the gauges.
        runner: Its name.
        method: Its name.
        cost: What is learned.
        max_rows: Of a batch.
    """

    def __init__(
        self,
        *,
        registry: MetricsRegistry,
        runner: str,
        method: str,
        cost: CostModel,
        max_rows: int,
    ) -> None:
        self._cost = cost
        self._gauges = [
            (
                rows,
                registry.gauge(BATCH_COST_SECONDS, (runner, method, str(rows), "mean")),
                registry.gauge(BATCH_COST_SECONDS, (runner, method, str(rows), "tail")),
            )
            for rows in curve_sizes(max_rows)
        ]

    def publish(self) -> None:
        """Set the gauges; sizes beyond the largest batch seen are unknown."""
        scale = BATCH_COST_SECONDS.scale
        largest = self._cost.largest
        for rows, mean, tail in self._gauges:
            is_known = rows <= largest
            mean.set(int(self._cost.mean(rows) * scale) if is_known else 0)
            tail.set(int(self._cost.tail(rows) * scale) if is_known else 0)


def make_curves(
    registry: MetricsRegistry,
    runner: str,
    scheduler: Scheduler,
    limits: Mapping[str, MethodLimits],
) -> list[CostCurve]:
    """Return the curves of those methods of a runner that form batches."""
    return [
        CostCurve(
            registry=registry,
            runner=runner,
            method=method,
            cost=scheduler.cost(method),
            max_rows=limit.max_rows,
        )
        for method, limit in limits.items()
        if limit.joins
    ]
