"""A case: one traffic on one model; and the run of one policy on it.

catalogue.py lists them, outcome.py says what a run found.
"""

import math

import msgspec

from benchmarks.simulation.arrivals import Traffic
from benchmarks.simulation.engine import Engine
from benchmarks.simulation.meter import Meter
from benchmarks.simulation.models import best_rate
from benchmarks.simulation.policy import Policy
from benchmarks.simulation.sender import Sender
from benchmarks.simulation.service import (
    Affine,
    Drifting,
    HeavyTailed,
    Stalling,
    Stepwise,
)

__all__ = ["Case", "simulate"]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy is put to."""

    name: str
    family: str
    service: Affine | Stepwise | HeavyTailed | Stalling | Drifting
    traffic: tuple[Traffic, ...]
    max_rows: int
    seconds: float
    """How long traffic comes, after the warm-up."""
    replicas: int = 1
    deadline_s: float = math.inf
    warm_up_s: float = 6.0
    """Traffic before that which is measured: CORK fits its model every 5 s."""
    seed: int = 1

    @property
    def capacity(self) -> float:
        """Rows per second that all replicas can serve, at the best size of a batch."""
        return self.replicas * best_rate(self.service, self.max_rows)


def simulate(case: Case, policy: Policy, meter: Meter | None = None) -> Meter:
    """Run a policy on a case; return the meter, a new one if none is given."""
    end_s = case.warm_up_s + case.seconds
    if meter is None:
        meter = Meter(begin_s=case.warm_up_s, end_s=end_s)
    senders = [
        Sender(
            index=index,
            traffic=traffic,
            end_s=end_s,
            deadline_s=case.deadline_s,
            seed=case.seed,
        )
        for index, traffic in enumerate(case.traffic)
    ]
    Engine(
        policy=policy,
        service=case.service,
        senders=senders,
        replicas=case.replicas,
        meter=meter,
        seed=case.seed,
    ).run()
    return meter
