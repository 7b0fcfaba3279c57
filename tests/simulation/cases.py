"""Cases that are small enough for tests."""

import math

from benchmarks.simulation.arrivals import (
    Bursty,
    Crowd,
    Curve,
    OnOff,
    Poisson,
    Traffic,
)
from benchmarks.simulation.case import Case
from benchmarks.simulation.service import (
    Affine,
    Drifting,
    HeavyTailed,
    Stalling,
    Stepwise,
)

Service = Affine | Stepwise | HeavyTailed | Stalling | Drifting

SMALL = Affine(base_s=1e-3, row_s=0.1e-3)
CONSTANT = Affine(base_s=4e-3, row_s=0.0)


def make_case(
    *arrivals: Poisson | Bursty | OnOff | Curve | Crowd,
    service: Service = SMALL,
    max_rows: int = 32,
    seconds: float = 1.0,
    replicas: int = 1,
    deadline_s: float = math.inf,
    sizes: tuple[int, ...] = (1,),
    seed: int = 1,
) -> Case:
    return Case(
        name="family/model/traffic",
        family="family",
        service=service,
        traffic=tuple(Traffic(arrivals=one, sizes=sizes) for one in arrivals),
        max_rows=max_rows,
        seconds=seconds,
        replicas=replicas,
        deadline_s=deadline_s,
        warm_up_s=0.0,
        seed=seed,
    )
