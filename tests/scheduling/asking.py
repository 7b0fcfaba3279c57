"""A scheduler that a test asks, and what it puts in."""

import math
from typing import Any

from headway.scheduling.call_group import CallGroup
from headway.scheduling.scheduler import Dispatch, Scheduler, SchedulerLimits

NOW = 100.0


def group(*rows: int, due: float = math.inf, **options: Any) -> CallGroup:
    return CallGroup(
        **{
            "key": b"k",
            "method": "predict",
            "rows": rows,
            "due": due,
            "arrived_at": NOW,
            "max_rows": 10,
            **options,
        }
    )


def scheduler(*groups: CallGroup, replicas: int = 1, **limits: Any) -> Scheduler:
    made = Scheduler(limits=SchedulerLimits(**limits), replicas=replicas)
    for one in groups:
        assert made.arrive(one, NOW) is None
    return made


def teach(made: Scheduler, rows: int, seconds: float, now: float = NOW) -> None:
    for _ in range(10):
        made.cost("predict").observe(rows, seconds, now)


def dispatched(made: Scheduler, now: float = NOW) -> list[int]:
    """Return the rows of the pieces that go now."""
    decision = made.decide(now)
    assert isinstance(decision, Dispatch)
    assert decision.rows == sum(piece.rows for piece in decision.pieces)
    return [piece.rows for piece in decision.pieces]
