"""A case: one traffic on one model; and the run of one policy on it.

catalogue.py lists them, outcome.py says what a run found.
"""

import math

import msgspec

from benchmarks.simulation.arrivals import Traffic
from benchmarks.simulation.engine import Engine
from benchmarks.simulation.meter import Meter
from benchmarks.simulation.policy import Policy
from benchmarks.simulation.sender import Sender
from benchmarks.simulation.service import (
    Affine,
    Drifting,
    HeavyTailed,
    Service,
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
    """How long traffic comes."""
    warm_up_s: float
    """What of it is not measured."""
    replicas: int = 1
    deadline_s: float = math.inf
    seed: int = 1

    @property
    def capacity(self) -> float:
        """Rows per second that all replicas can serve, at the best size of a batch."""
        return self.replicas * best_rate(self.service, self.max_rows)


def best_rate(service: Service, max_rows: int) -> float:
    """Return the rows per second of one replica, at the best size of a batch."""
    return max(rows / service.mean_s(rows) for rows in range(1, max_rows + 1))


def simulate(case: Case, policy: Policy) -> Meter:
    """Run a policy on a case."""
    meter = Meter(begin_s=case.warm_up_s, end_s=case.seconds)
    senders = [
        Sender(
            index=index,
            traffic=traffic,
            end_s=case.seconds,
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
